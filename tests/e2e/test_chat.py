"""`make chat`, in a terminal and in a pipe, with a scripted engine."""

import os
import subprocess
import sys

import pytest

from infra.paths import ROOT
from tests.e2e.conftest import Scripted
from tests.e2e.terminal import CTRL_C, CTRL_D, terminal
from tests.engines import events
from tests.engines.behaviours import Chat, InTurn, Sse, Status, string_error
from tests.engines.scripted import refusing_engine, scripted_engine

MAKE_CHAT = ("make", "--silent", "chat", f"PYTHON={sys.executable}")
SLOW = Chat(Sse(events.tokens(200, pace_s=0.05)))


def piped(text: str, **variables: str) -> tuple[int, str, str]:
    """Return exit status, reply and errors of `echo text | make chat`."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    kept = {name: os.environ[name] for name in os.environ.keys() - {"NO_PROXY", "no_proxy"}}
    done = subprocess.run(
        (*MAKE_CHAT, *settings),
        cwd=ROOT,
        env={**kept, "HTTP_PROXY": "http://127.0.0.1:1"},
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("by", ["python", pytest.param("make", marks=pytest.mark.nightly)])
def test_ctrl_c_stops_the_reply_and_its_engine_and_the_conversation_goes_on(
    by: str, scripted: Scripted
) -> None:
    command = {
        "python": (sys.executable, "examples/chat.py", "--url", f"{scripted.service.url}/v1"),
        "make": (*MAKE_CHAT, f"PORT={scripted.local.port}"),
    }[by]
    scripted.engine.behaviour = InTurn([SLOW])
    with terminal(*command) as shown:
        shown.wait_for("The model is scripted.")
        shown.wait_for("> ")
        shown.type("hello\r")
        shown.wait_for(" word word")
        assert scripted.engine.open_streams == 1, "expected the reply to be shown while it is made"
        shown.type(CTRL_C)
        shown.wait_for("Stopped.")
        scripted.engine.wait_until(lambda: scripted.engine.disconnects)
        shown.wait_for("> ")
        shown.type("two\rlines\r")  # as pasted
        shown.wait_for("37+8 tokens, ")
        stopped, *_, pasted = scripted.engine.requests[-1].fields["messages"][1:]
        assert stopped["content"].startswith(" word word")
        assert pasted == {"role": "user", "content": "two\nlines"}
        shown.wait_for("> ")
        shown.type(CTRL_D)
        shown.wait_for_end()


@pytest.mark.nightly
def test_what_is_piped_gets_the_reply_alone(scripted: Scripted) -> None:
    assert piped("hi\n", PORT=str(scripted.local.port)) == (0, " word" * 8 + "\n", "")
    assert scripted.engine.requests[-1].fields["messages"] == [{"role": "user", "content": "hi"}]
    assert "Expected a message" in piped("\n", PORT=str(scripted.local.port))[2]
    status, out, err = piped("hi\n", PORT=str(scripted.local.port), MODEL="nothing")
    assert (status != 0, out) == (True, "")
    assert err.startswith("There is no model 'nothing' to chat with, but: scripted, ")


@pytest.mark.nightly
def test_other_addresses_fail_with_what_to_do_and_wait_where_they_are_busy() -> None:
    with refusing_engine() as url:
        status, _, err = piped("hi", URL=url)
        assert (status != 0, "Connection refused. Start it: make run." in err) == (True, True)
    with scripted_engine(InTurn([string_error(401), Status(429, headers={"retry-after": "1"})])) as engine:
        assert "The service requires a key. Give one: make chat KEY=" in piped("hi", URL=engine.base_url)[2]
        status, out, err = piped("hi", URL=engine.base_url, KEY="secret")
        assert (status, out) == (0, " word" * 8 + "\n")
        assert "A limit is reached: next try in 1 s" in err
        assert engine.requests[-1].headers["authorization"] == "Bearer secret"
        engine.behaviour = Chat(Sse(events.tokens(finish=None, done=False)))
        status, out, err = piped("hi", URL=engine.base_url)
        assert (status != 0, out, err.splitlines()[0]) == (True, " word" * 8 + "\n", "The reply broke off.")
