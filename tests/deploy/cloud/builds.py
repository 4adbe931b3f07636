"""A build runs the first and the last command of its build spec, as if those between had succeeded.

ministack records builds without running them, and the one here copies an image of 25 GB. Other tests run its
program. Here the program comes out of the template complete, and its signal reaches CloudFormation.
"""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from typing import Any

import yaml
from ministack.services import codebuild
from ministack.services.cloudformation import wait_conditions

_TIMEOUT_S = 30


def install() -> None:
    """Let builds signal that they have succeeded."""
    start = codebuild._start_build

    def started(request: dict[str, Any]) -> Any:
        status, headers, body = start(request)
        if status == 200:
            project = codebuild._projects[request["projectName"]]
            overrides = request.get("environmentVariablesOverride", [])
            variables = {each["name"]: each["value"] for each in overrides}
            variables["CODEBUILD_BUILD_ID"] = json.loads(body)["build"]["id"]
            # The caller gets the response before the build signals its result.
            threading.Timer(0.1, _run, (project["source"]["buildspec"], variables)).start()
        return status, headers, body

    codebuild._start_build = started


def _run(spec: str, variables: Mapping[str, str]) -> None:
    """Run it; a failure is signalled from here, because CloudFormation would wait for two hours."""
    build = yaml.safe_load(spec)["phases"]["build"]
    try:
        with tempfile.TemporaryDirectory() as folder:
            digest = f"printf sha256:{'0' * 64} > digest.txt"
            for command in (build["commands"][0], ": > reason.txt", digest, *build["finally"]):
                _shell(command, folder, variables)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        token = wait_conditions.token_from_url(variables["SIGNAL_URL"])
        reason = f"{error}: {error.stderr!r}"
        wait_conditions.deliver_signal(token, {"Status": "FAILURE", "UniqueId": "build", "Reason": reason})


def _shell(command: str, folder: str, variables: Mapping[str, str]) -> None:
    subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        timeout=_TIMEOUT_S,
        capture_output=True,
        text=True,
        check=True,
    )
