"""The plans of a schema: made ahead of time, or compiled when they are first needed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import threading
from collections import OrderedDict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import __version__, requests
from .errors import UserError
from .generators import COMPILER
from .models import Call
from .plans import Plan, with_pages

if TYPE_CHECKING:
    from .compiler import QueryCompiler

# Characters of requests: about 2,000 shapes.
_MOST_TEXT = 1_000_000
_ATTEMPTS = 4

T = TypeVar("T")
Found = tuple[Plan, dict[str, Any]]
# The names of values that stay in a request, None for all.
Kept = frozenset[str] | None
_NONE: Kept = frozenset()


class Recent(Generic[T]):
    """What was used last, by texts that together are not too long. Safe between threads."""

    def __init__(self, most_text: int = _MOST_TEXT) -> None:
        self._room, self._lock = most_text, threading.Lock()
        self.entries: OrderedDict[str, T] = OrderedDict()

    def get(self, key: str, default: T) -> T:
        with self._lock:
            if key in self.entries:
                self.entries.move_to_end(key)
            return self.entries.get(key, default)

    def put(self, key: str, value: T) -> None:
        with self._lock:
            self._room -= 0 if key in self.entries else len(key)
            self.entries[key] = value
            while self._room < 0:
                self._room += len(self.entries.popitem(last=False)[0])


class Plans:
    """The plans of a schema. Safe between threads; `compiled` counts the compiler's runs."""

    def __init__(self, datamodel: str, schema: str, ahead: Path | None = None) -> None:
        self._datamodel, self._schema = datamodel, schema
        self._compiler: QueryCompiler | None = None
        self._compiling = threading.Lock()
        self._ready: Recent[tuple[Plan, str] | None] = Recent()
        self._kept: Recent[Kept] = Recent()
        self._ahead: dict[str, str] = {}
        self.compiled = 0
        self._digest = hashlib.sha256(f"{__version__} {COMPILER} {schema}\n{datamodel}".encode()).hexdigest()
        made: Any = None
        with contextlib.suppress(OSError, ValueError):
            made = ahead and json.loads(ahead.read_bytes())
        if isinstance(made, dict) and made.get("digest") == self._digest:
            self._ahead = made["plans"]
            for key, names in made["kept"].items():
                self._kept.put(key, None if names is None else frozenset(names))
        elif ahead:
            text = "%s has no plans for this schema and version: they are compiled"
            logging.getLogger(__name__).warning(text, ahead)

    def save(self, file: Path) -> None:
        """Write all plans used so far, for `install(plans=file)`."""
        plans = self._ahead | {key: entry[1] for key, entry in self._ready.entries.items() if entry}
        kept = {key: names and sorted(names) for key, names in self._kept.entries.items()}
        file.write_text(json.dumps({"digest": self._digest, "plans": plans, "kept": kept}))

    def find(self, call: Call) -> Found | None:
        """Return a call's plan and its values, None where the plan must be compiled."""
        request = requests.request(call)
        kept = self._kept.get(request.text, _NONE)
        if kept != _NONE:
            request = requests.request(call, kept)
        entry = self._ready.get(request.text, None)
        if entry:
            return entry[0], request.values
        text = self._ahead.get(request.text)
        return self._keep(request, text) if text else None

    def make(self, call: Call) -> Found:
        """Return a call's plan and its values; compile what is not ready. Raises: UserError."""
        with self._compiling:
            found = self.find(call)
            if found:
                return found
            first = request = requests.request(call)
            kept = _NONE
            for attempt in count(1):
                try:
                    text = self._compile(request)
                    # A page's number that the compiler calculated with cannot be a parameter.
                    refused = frozenset(name for name in request.pages if json.dumps(name) not in text)
                    if not refused:
                        break
                except UserError as error:
                    if kept is None:
                        raise
                    refused = requests.refused(request.text, error.body["user_facing_error"]["meta"])
                if kept is not None:
                    kept = None if refused <= kept or attempt == _ATTEMPTS else kept | refused
                request = requests.request(call, kept)
            if kept != _NONE:
                self._kept.put(first.text, kept)
            return self._keep(request, text)

    def _keep(self, request: requests.Request, text: str) -> Found:
        plan = Plan(json.loads(text), typed=request.typed)
        self._ready.put(request.text, (plan, text))
        return plan, request.values

    def _compile(self, request: requests.Request) -> str:
        from .compiler import QueryCompiler  # 30 MB, not needed for plans made ahead

        compiler, self._compiler = self._compiler, None
        if compiler is None:
            compiler = QueryCompiler(self._datamodel, schema=self._schema)
        self.compiled += 1
        try:
            plan = compiler.compile(request.text)
        except UserError:
            self._compiler = compiler
            raise
        self._compiler = compiler  # after any other error the next call starts another: its memory is unknown
        pages = {number: name for name, number in request.pages.items()}
        return json.dumps(with_pages(plan, pages) if pages else plan)
