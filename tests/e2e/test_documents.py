"""The examples that the documents print, run as they stand."""

import re
import subprocess
import sys

import pytest

from infra.paths import ROOT
from tests.local_service import Service

ADDRESS = "http://localhost:8000"
EXAMPLES = [
    pytest.param(language, code, id=f"{document} {number}")
    for document in ("README.md", "docs/api.md")
    for number, (language, code) in enumerate(
        re.findall(r"^```(sh|python)\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL), 1
    )
    if ADDRESS in code
]


@pytest.mark.parametrize(("language", "code"), EXAMPLES)
def test_an_example_runs(language: str, code: str, service: Service) -> None:
    command = ("sh", "-ec") if language == "sh" else (sys.executable, "-c")
    code = code.replace(ADDRESS, service.url).replace("curl ", "curl --fail-with-body --silent --show-error ")
    done = subprocess.run(
        (*command, code), capture_output=True, text=True, timeout=50, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout
    assert '"error"' not in done.stdout
