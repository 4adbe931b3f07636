"""`examples/chat.py`: the conversation and its commands, without a service."""

import json
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from openai import APIConnectionError, APIStatusError, AuthenticationError, OpenAI, RateLimitError
from openai.types.chat import ChatCompletionChunk

from examples import chat
from examples.chat import Chat, Failed

URL = "http://localhost:8000/v1"


def chunk(finish: str | None = None, **delta: str) -> ChatCompletionChunk:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    shape = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return ChatCompletionChunk.model_validate(shape)


HELLO = (chunk(content="Hel"), chunk(content="lo"), chunk("stop"))


class Stream:
    """What the SDK returns for a stream: chunks, and an error in the place of one."""

    def __init__(self, pieces: tuple[Any, ...]) -> None:
        self._pieces = iter(pieces)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None: ...

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> ChatCompletionChunk:
        piece = next(self._pieces)
        if isinstance(piece, BaseException):
            raise piece
        return cast(ChatCompletionChunk, piece)


def named(name: str) -> SimpleNamespace:
    return SimpleNamespace(id=name)


class Service:
    """Stands for the SDK's client: a reply, or an error, for each request; the last one is repeated."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies or (HELLO,))
        self.requests: list[dict[str, Any]] = []
        self.base_url, self.api_key = URL, ""
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))
        listed = [SimpleNamespace(id="e", serves=["embeddings"]), *map(named, "ab")]
        self.models = SimpleNamespace(list=lambda: listed)

    def _create(self, **request: Any) -> Stream:
        self.requests.append({**request, "messages": list(request["messages"])})
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return Stream(reply)


def refusal(status: int, text: str = "No.", **headers: str) -> APIStatusError:
    kind = {401: AuthenticationError, 429: RateLimitError}.get(status, APIStatusError)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    response = httpx2.Response(status, headers=fields, request=httpx2.Request("POST", URL))
    return kind(f"Error code: {status}", response=response, body={"message": text})


def talk(service: Service, *lines: str) -> Chat:
    """Hold a conversation."""
    talked = Chat(cast(OpenAI, service))
    for line in lines:
        (talked.command if line.startswith("/") else talked.send)(line)
    return talked


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What is waited, instead of waiting; and notes are shown, as in a terminal."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(chat, "IS_PIPED", False)
    return slept


HI, REPLY = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "Hello"}
BRIEF = {"role": "system", "content": "be brief"}


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        (("hi",), [HI]),
        (("hi", "hi"), [HI, REPLY, HI]),
        (("/system be brief", "hi"), [BRIEF, HI]),
        (("/system be brief", "/system", "hi"), [HI]),
        (("hi", "/clear", "hi"), [HI]),
        (("hi", "/retry"), [HI]),
        (("hi", "hi", "/retry"), [HI, REPLY, HI]),
        (("hi", "/clear", "/retry"), [HI]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_last_request_has_these_messages(lines: tuple[str, ...], sent: list[Any]) -> None:
    service = Service()
    talked = talk(service, *lines)
    assert service.requests[-1]["messages"] == sent
    assert talked.turns[-1] == REPLY


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("/models", "a\nb"),
        ("/model b", "The model is b."),
        ("/model default", "The model is a."),
        ("/help", "/save FILE"),
        ("/clear", "forgotten"),
    ],
)
def test_a_command_is_confirmed(line: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    talk(Service(), line)
    out, err = capsys.readouterr()
    assert (out, shown in err) == ("", True)


def test_the_next_request_names_the_model_that_was_chosen() -> None:
    service = Service()
    talk(service, "/model b", "hi")
    assert service.requests[-1]["model"] == "b"


@pytest.mark.parametrize(
    "line", ["/model e", "/model", "/retry", "/nothing", "/save", "/save no/such/folder"]
)
def test_a_command_that_cannot_be_followed_says_so(line: str) -> None:
    with pytest.raises(Failed, match=r"^(There is no|Expected a new file, as in /save chat\.json)"):
        talk(Service(), line)


def test_a_conversation_is_saved_as_a_request_once(tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    talked = talk(Service(), "hi", f"/save {file}")
    assert json.loads(file.read_text()) == {"model": "default", "messages": [HI, REPLY]}
    with pytest.raises(Failed, match="File exists"):
        talked.command(f"/save {file}")


@pytest.mark.parametrize(
    "end", [KeyboardInterrupt(), APIConnectionError(request=httpx2.Request("POST", URL))]
)
def test_of_a_stopped_reply_what_came_is_kept(end: BaseException) -> None:
    talked = Chat(cast(OpenAI, Service((chunk(content="Hel"), end))))
    with pytest.raises(type(end)):
        talked.send("hi")
    assert talked.turns == [HI, {"role": "assistant", "content": "Hel"}]


def test_a_message_that_got_no_reply_is_sent_again_by_retry() -> None:
    talked = talk(Service(HELLO, refusal(400), HELLO), "hi")
    with pytest.raises(APIStatusError):
        talked.send("hi")
    assert talked.turns == [HI, REPLY]
    talked.command("/retry")
    assert talked.turns == [HI, REPLY, HI, REPLY]


def test_a_reply_without_a_finish_reason_has_broken_off() -> None:
    with pytest.raises(Failed, match="broke off"):
        talk(Service(HELLO[:2]), "hi")


@pytest.mark.parametrize(("finish", "is_complete"), [("stop", True), ("length", False)])
def test_what_is_piped_fails_where_the_reply_is_cut(
    finish: str, is_complete: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "IS_PIPED", True)
    with nullcontext() if is_complete else pytest.raises(Failed, match="cut at the limit"):
        talk(Service((*HELLO[:2], chunk(finish))), "hi")


@pytest.mark.parametrize(
    ("is_terminal", "shown"), [(True, "a]0;titlebÄ\t"), (False, "a\x1b]0;title\x07b\x9bÄ\t")]
)
def test_a_reply_does_not_control_the_terminal(
    is_terminal: bool, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    talk(Service((chunk(content="a\x1b]0;title\x07b\x9bÄ\t"), chunk("stop"))), "hi")
    assert capsys.readouterr().out == f"{shown}\n"


@pytest.mark.parametrize(
    ("key", "text"), [("", "Connection"), ("sk-…", "Expected a key of ASCII characters.")]
)
def test_a_key_that_cannot_be_sent_is_no_traceback(
    key: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["chat.py", "--url", "http://127.0.0.1:1/v1", "--key", key])
    assert chat.main() == 1
    assert text in capsys.readouterr().err


def test_a_service_that_sends_no_events_is_named() -> None:
    with pytest.raises(Failed, match=f"events from {URL}"):
        talk(Service(()), "hi")


def test_reasoning_is_a_note_and_the_reply_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    thought = chunk(reasoning_content="Hm.", reasoning="Hm.")
    talked = talk(Service((thought, *HELLO)), "hi")
    out, err = capsys.readouterr()
    assert (out, err.count("Hm.")) == ("Hello\n", 1)
    assert talked.turns == [HI, REPLY]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("after", "wait_s"), [("7", 7), ("0", 1)])
def test_a_service_that_says_when_it_is_ready_is_called_then(
    status: int, after: str, wait_s: float, waits: list[float]
) -> None:
    busy = refusal(status, retry_after=after)
    assert talk(Service(busy, busy, HELLO), "hi").turns == [HI, REPLY]
    assert waits == [wait_s, wait_s]


@pytest.mark.parametrize(
    "final",
    [
        refusal(429, retry_after="7", x_should_retry="false"),
        refusal(503, retry_after="Thu, 26 Nov 2026 22:00:00 GMT"),
        refusal(503, retry_after="901"),
        refusal(502),
    ],
)
def test_what_would_only_fail_again_is_not_sent_again(final: APIStatusError, waits: list[float]) -> None:
    with pytest.raises(APIStatusError):
        talk(Service(final), "hi")
    assert waits == []


@pytest.mark.parametrize(
    ("error", "key", "text"),
    [
        (refusal(400, "Expected a model."), "", "Expected a model."),
        (refusal(401, "Incorrect."), "sk-1", "Incorrect. Give one: make chat KEY=…, or OPENAI_API_KEY."),
        (refusal(401, "Incorrect."), chat.NO_KEY, "The service requires a key. Give one: make chat KEY=…, "),
        (Failed("The reply broke off."), "", "The reply broke off."),
    ],
)
def test_an_error_says_what_to_do(error: Exception, key: str, text: str) -> None:
    service = Service()
    service.api_key = key
    assert chat.describe(error, cast(OpenAI, service)).startswith(text)
