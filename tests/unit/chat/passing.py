"""Feed a stream's checks with bytes, and hold what came of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from functions.chat.errors import ApiError
from functions.chat.streams.chat import CompletionStream, State
from tests.unit.chat.chunks import MODEL


@dataclass(frozen=True)
class Passed:
    """What a stream let through and how it ended."""

    out: bytes
    state: State
    failure: ApiError | None
    usage: dict[str, Any] | None

    @property
    def chunks(self) -> list[dict[str, Any]]:
        lines = self.out.decode().removesuffix("\n\n").split("\n\n") if self.out else []
        return [json.loads(line.removeprefix("data: ")) for line in lines if not line.endswith("[DONE]")]


def passed(parts: bytes | Iterable[bytes], *, model: str = MODEL, n: int = 1, usage: bool = False) -> Passed:
    stream = CompletionStream(model=model, n=n, include_usage=usage)
    out = [stream.feed(part) for part in ([parts] if isinstance(parts, bytes) else parts)]
    out.append(stream.flush())
    return Passed(b"".join(out), stream.state, stream.failure, stream.usage)
