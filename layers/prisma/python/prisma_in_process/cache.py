"""The plans of a schema: made ahead of time, or compiled when they are first needed."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from . import __version__, requests
from .errors import UserError
from .generators import COMPILER
from .models import Call
from .plans import Plan, with_pages

if TYPE_CHECKING:
    from .compiler import QueryCompiler

# Characters of requests: about 2,000 shapes, or 6 of a `create_many` of 1,000 rows.
_MOST_TEXT = 1_000_000
_ATTEMPTS = 4

logger = logging.getLogger(__name__)

T = TypeVar("T")
Found = tuple[Plan, dict[str, Any]]
# The names of the values that stay in a request.
Kept = frozenset[str] | Literal["all"]


class Recent(Generic[T]):
    """What was used last, by texts that together are not too long. Safe between threads."""

    def __init__(self, most_text: int = _MOST_TEXT) -> None:
        self._room = most_text
        self._values: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> T | None:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: str, value: T) -> None:
        with self._lock:
            if key not in self._values:
                self._room -= len(key)
            self._values[key] = value
            while self._room < 0:
                self._room += len(self._values.popitem(last=False)[0])

    def items(self) -> list[tuple[str, T]]:
        with self._lock:
            return list(self._values.items())


class Plans:
    """The plans of a schema. Safe between threads; `compiled` counts the compiler's runs."""

    def __init__(self, datamodel: str, schema: str, ahead: Path | None = None) -> None:
        self._datamodel, self._schema = datamodel, schema
        self._compiler: QueryCompiler | None = None
        self._compiling = threading.Lock()
        self._ready: Recent[tuple[Plan, str]] = Recent()
        self._kept: Recent[Kept] = Recent()
        self._ahead: dict[str, str] = {}
        self.compiled = 0
        versions = f"{__version__}\n{COMPILER}\n{schema}\n{datamodel}"
        self._digest = hashlib.sha256(versions.encode()).hexdigest()
        if ahead:
            self._load(ahead)

    def _load(self, file: Path) -> None:
        made: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
        if made.get("digest") != self._digest:
            logger.warning("%s has no plans for this schema and version: they are compiled", file)
            return
        self._ahead = made["plans"]
        for key, names in made["kept"].items():
            self._kept.put(key, "all" if names == "all" else frozenset(names))

    def save(self, file: Path) -> None:
        """Write all plans used so far, for `install(plans=file)`."""
        plans = self._ahead | {key: text for key, (_, text) in self._ready.items()}
        kept = {key: "all" if names == "all" else sorted(names) for key, names in self._kept.items()}
        file.write_text(json.dumps({"digest": self._digest, "plans": plans, "kept": kept}))

    def find(self, call: Call) -> Found | None:
        """Return a call's plan and its values, None where the plan must be compiled."""
        request = requests.request(call)
        kept = self._kept.get(request.text)
        if kept is not None:
            request = requests.request(call, None if kept == "all" else kept)
        key = _key(request)
        ready = self._ready.get(key)
        if ready:
            return ready[0], request.values
        text = self._ahead.get(key)
        return self._keep(request, text) if text else None

    def make(self, call: Call) -> Found:
        """Return a call's plan and its values; compile what is not ready. Raises: UserError."""
        with self._compiling:
            return self.find(call) or self._make(call)

    def _make(self, call: Call) -> Found:
        """Compile a call, with those values in the request that the compiler refuses as parameters."""
        first = request = requests.request(call)
        kept: frozenset[str] = frozenset()
        for _ in range(_ATTEMPTS):
            try:
                plan = self._compile(request)
            except UserError as error:
                meta: Any = error.body["user_facing_error"]
                more = requests.refused(request.text, meta["meta"]) - kept
                if not more:
                    break
                kept |= more
                request = requests.request(call, kept)
                continue
            text = json.dumps(plan)
            # A page's number that the compiler calculated with cannot be a parameter.
            lost = {name for name in request.pages if json.dumps(name) not in text}
            if not lost:
                if kept:
                    self._kept.put(first.text, kept)
                return self._keep(request, text)
            kept |= lost
            request = requests.request(call, kept)
        request = requests.request(call, None)
        plan = self._compile(request)
        self._kept.put(first.text, "all")
        return self._keep(request, json.dumps(plan))

    def _keep(self, request: requests.Request, text: str) -> Found:
        plan = Plan(json.loads(text), typed=request.typed)
        self._ready.put(_key(request), (plan, text))
        return plan, request.values

    def _compile(self, request: requests.Request) -> Any:
        # 30 MB that are not needed where all plans were made ahead.
        from .compiler import CompileError, QueryCompiler

        compiler, self._compiler = self._compiler, None
        if compiler is None:
            compiler = QueryCompiler(self._datamodel, schema=self._schema)
        self.compiled += 1
        try:
            plan = compiler.compile(request.text)
        except CompileError as error:
            self._compiler = compiler
            raise UserError(error.code, str(error), error.meta) from None
        # After any other error, what is in its memory is unknown: the next call starts another one.
        self._compiler = compiler
        pages = {number: name for name, number in request.pages.items()}
        return with_pages(plan, pages) if pages else plan


def _key(request: requests.Request) -> str:
    return request.text if request.typed else f"untyped {request.text}"
