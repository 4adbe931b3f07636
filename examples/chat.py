"""A chat in the terminal, with the official openai package (pip install "openai>=3") and nothing else.

Text that is piped in is one message: then the reply alone is printed, and the exit status says whether it is
complete. The address and the key may be in OPENAI_BASE_URL and OPENAI_API_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, TypeVar

from openai import APIConnectionError, APIError, APIStatusError, AuthenticationError, OpenAI, Stream
from openai.types.chat import ChatCompletionChunk

with suppress(ImportError):  # Windows has none
    import readline

    if os.environ.get("TERM") != "dumb":
        readline.parse_and_bind("set enable-bracketed-paste on")

HELP = """\
/model NAME   use another model            /retry       send the last message again
/models       list the models              /clear       forget the conversation
/system TEXT  instruct the model           /save FILE   write the conversation, as a request for curl
/exit         leave, as Ctrl-D does        Ctrl-C       stop the reply"""
LONGEST_WAIT_S = 900
NO_KEY = "none"  # the package wants one
IS_PIPED = not sys.stdin.isatty()
IS_LIVE = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
DIMMED = "\x1b[2m{}\x1b[0m" if IS_LIVE and not os.environ.get("NO_COLOR") else "{}"
# What a terminal would obey: a reply could move the cursor, or write to the clipboard.
CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\t"), ord("\n")})
T = TypeVar("T")


class Failed(Exception):
    """What went wrong, for the user."""


def note(text: str, end: str = "\n") -> None:
    """Print what is not the reply."""
    if not IS_PIPED:
        print(DIMMED.format(text.translate(CONTROLS)), end=end, file=sys.stderr, flush=True)


@contextmanager
def counting(text: str, down_from_s: float = 0) -> Iterator[None]:
    """Show how long something has taken, or may still take, in a line that is gone afterwards."""
    began_s, is_over = time.monotonic(), threading.Event()
    if down_from_s and not IS_LIVE:
        print(f"{text} {down_from_s:.0f} s", file=sys.stderr, flush=True)

    def count() -> None:
        while IS_LIVE and not is_over.wait(1):
            seconds = abs(down_from_s - (time.monotonic() - began_s))
            print(f"\r{text} {seconds:.0f} s\x1b[K", end="", file=sys.stderr, flush=True)

    counter = threading.Thread(target=count, daemon=True)
    counter.start()
    try:
        yield
    finally:
        is_over.set()
        counter.join()
        if IS_LIVE:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def when_ready(request: Callable[[], T]) -> T:
    """Send a request, and again if the service says when it will be ready for it."""
    began_s = time.monotonic()
    while True:
        try:
            with counting("waiting for the service"):
                return request()
        except APIStatusError as error:
            after, again = map(error.response.headers.get, ("retry-after", "x-should-retry"))
            wait_s = max(1, int(after)) if after and after.isdigit() and again != "false" else 0
            if not wait_s or time.monotonic() - began_s + wait_s > LONGEST_WAIT_S:
                raise
            reason = "A limit is reached" if error.status_code == 429 else "The service is not ready"
            with counting(f"{reason}: next try in", wait_s):
                time.sleep(wait_s)


class Chat:
    """A conversation; each method `do_…` is a command."""

    def __init__(self, client: OpenAI) -> None:
        self.client, self.model, self.system = client, "default", ""
        self.turns: list[dict[str, str]] = []
        self.last = {"role": "user", "content": ""}

    @property
    def request(self) -> dict[str, Any]:
        """Return the body of the next request."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {"model": self.model, "messages": [*system, *self.turns]}

    def send(self, text: str) -> None:
        """Print the reply as it arrives. A message that gets none is not part of the conversation."""
        self.last = {"role": "user", "content": text}
        self.turns.append(self.last)
        reply = {"role": "assistant", "content": ""}
        try:
            counted = self._print_reply(reply)
        finally:
            if reply["content"]:
                self.turns.append(reply)
                print()
            else:
                self.turns.pop()
        note(counted)

    def _stream(self) -> tuple[ChatCompletionChunk, Stream[ChatCompletionChunk]]:
        options: Any = {"stream": True, "stream_options": {"include_usage": True}}
        stream = self.client.chat.completions.create(**self.request, **options)
        first = next(stream, None)
        if first is None:
            raise Failed(f"Expected a stream of events from {self.client.base_url}, but got none.")
        return first, stream

    def _print_reply(self, reply: dict[str, str]) -> str:
        began_s = time.monotonic()
        first, stream = when_ready(self._stream)
        first_s = time.monotonic() - began_s
        finish, tokens, is_thinking = None, "", False
        with stream:
            for chunk in chain([first], stream):
                if usage := chunk.usage:
                    tokens = f"{usage.prompt_tokens}+{usage.completion_tokens} tokens, "
                for choice in chunk.choices:
                    finish = choice.finish_reason or finish
                    if thought := getattr(choice.delta, "reasoning_content", None):
                        note(thought, end="")
                        is_thinking = True
                    if text := choice.delta.content:
                        if is_thinking:
                            note("\n")
                        is_thinking = False
                        reply["content"] += text
                        print(text.translate(CONTROLS) if sys.stdout.isatty() else text, end="", flush=True)
        if finish is None:
            raise Failed("The reply broke off.")
        if finish == "length" and IS_PIPED:
            raise Failed("The reply is cut at the limit of tokens.")
        cut = ", cut at the limit of tokens" if finish == "length" else ""
        return f"{tokens}{time.monotonic() - began_s:.1f} s, the first after {first_s:.1f} s{cut}"

    def command(self, text: str) -> None:
        """Do what a line with a slash says."""
        name, _, rest = text[1:].partition(" ")
        if not (do := getattr(self, f"do_{name}", None)):
            raise Failed(f"There is no /{name}. /help lists the commands.")
        do(rest.strip())

    def do_help(self, _: str) -> None:
        note(HELP)

    def do_exit(self, _: str) -> None:
        raise EOFError

    do_quit = do_exit

    def do_models(self, _: str) -> None:
        note("\n".join(self._models()))

    def do_model(self, name: str) -> None:
        models = self._models()
        if not models or name not in (*models, "default"):
            raise Failed(f"There is no model {name!r} to chat with, but: {', '.join(models) or 'none'}.")
        self.model = name if name in models else models[0]
        note(f"The model is {self.model}.")

    def _models(self) -> list[str]:
        listed = when_ready(self.client.models.list)
        return [model.id for model in listed if "chat" in getattr(model, "serves", ["chat"])]

    def do_system(self, text: str) -> None:
        self.system = text
        note(f"The model is instructed: {text}" if text else "The model has no instructions.")

    def do_clear(self, _: str) -> None:
        self.turns.clear()
        note("The conversation is forgotten.")

    def do_retry(self, _: str) -> None:
        if not self.last["content"]:
            raise Failed("There is no message to send again.")
        if self.turns and self.turns[-2] is self.last:
            del self.turns[-2:]
        self.send(self.last["content"])

    def do_save(self, name: str) -> None:
        try:
            with open(name, "x", encoding="utf-8") as file:
                json.dump(self.request, file, ensure_ascii=False, indent=2)
        except OSError as error:
            raise Failed(f"Expected a new file, as in /save chat.json: {error.strerror}.") from None
        note(f"Saved. curl sends it with -H 'Content-Type: application/json' -d @{name}")


def read_message() -> str:
    """Return a line, with the others of the same paste."""
    lines = [input("> ")]
    with suppress(OSError, EOFError):  # on Windows, select knows sockets only
        while select.select([sys.stdin], [], [], 0.02)[0]:
            lines.append(input())
    return "\n".join(lines).strip()


def converse(chat: Chat) -> None:
    """Answer messages and commands until the user leaves."""
    note("/help lists the commands, Ctrl-C stops a reply, Ctrl-D leaves.")
    while True:
        try:
            text = read_message()
            if text:
                (chat.command if text.startswith("/") and "\n" not in text else chat.send)(text)
        except EOFError:
            return note("")
        except KeyboardInterrupt:
            note("\nStopped. Ctrl-D leaves.")
        except (APIError, Failed, ValueError) as error:
            print(describe(error, chat.client), file=sys.stderr)


def describe(error: Exception, client: OpenAI) -> str:
    """Return what went wrong and what to do next."""
    body = getattr(error, "body", None)
    text = str(body["message"] if isinstance(body, dict) and "message" in body else error)
    if isinstance(error, AuthenticationError):
        refused = "The service requires a key." if client.api_key == NO_KEY else text
        return f"{refused} Give one: make chat KEY=…, or OPENAI_API_KEY."
    if isinstance(error, APIConnectionError):
        cause = str(error.__cause__ or error).rstrip(".")
        return f"{client.base_url}: {cause}. Start it: make run. Or give another address: make chat URL=…"
    return text


def main() -> int:
    """Chat; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    local = os.environ.get("OPENAI_BASE_URL") or "http://localhost:8000/v1"
    parser.add_argument("--url", default=local, help="the base URL of an OpenAI-compatible service")
    key = os.environ.get("OPENAI_API_KEY") or NO_KEY
    parser.add_argument("--key", default=key, help="OPENAI_API_KEY keeps it out of the list of processes")
    parser.add_argument("--model", default="default", help="the first model for chat, unless given")
    given = parser.parse_args()
    os.environ.setdefault("NO_PROXY", "localhost,127.0.0.1")  # what a proxy cannot reach
    chat = Chat(OpenAI(base_url=given.url, api_key=given.key or NO_KEY, max_retries=0))
    try:
        if not given.key.isascii():
            raise Failed("Expected a key of ASCII characters.")
        chat.do_model(given.model)
        if IS_PIPED:
            with open(0, encoding="utf-8", errors="replace") as stdin:
                if not (text := stdin.read().strip("\n")):
                    raise Failed("Expected a message, but got an empty input.")
            chat.send(text)
        else:
            converse(chat)
    except (APIError, Failed, ValueError) as error:
        print(describe(error, chat.client), file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        os._exit(130)  # without a last write to what reads no more
    return 0


if __name__ == "__main__":
    sys.exit(main())
