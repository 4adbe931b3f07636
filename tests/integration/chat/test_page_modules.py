"""The chat page's module without a page, run by Node.js: the bytes of streams, failures, requests."""

import subprocess

from infra.paths import ROOT

TESTS = ROOT / "tests/integration/chat/page/chat.test.mjs"


def test_the_conversation_as_node_runs_it() -> None:
    command = ("node", "--test", "--test-reporter=spec", str(TESTS))
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout
