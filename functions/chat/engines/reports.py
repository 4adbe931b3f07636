"""What an engine says of a failure, taken apart: its sentences, its names and codes, the parameter.

Each sentence is the engine's own, from its beginning: what stands before it (classes, wrappers of LiteLLM's,
JSON inside a text) is taken off, and what pydantic quotes of the request is not read.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from .wordings import CODES, FIELDS, patterns

_MAX_LENGTH = 64 * 1024
_MAX_DEPTH, _MAX_WRAPPERS = 8, 16
# What may stand before an engine's own sentence, with the class of the error.
_WRAPPERS = re.compile(
    r"\s+|b['\"](?=\{)"
    r"|(?:\w{1,40}\.){0,6}(?P<name>[A-Z]\w{1,60}(?:Error|Exception|Timeout)|Timeout)"
    r"(?: [A-Z]\w{1,60}Error)?\s?(?::|-)\s?"
    r"|An error occurred \((?P<aws>\w{1,60})\) when calling the \w{1,60} operation[^:\n]{0,60}: "
    r"|(?:OpenAI )?(?:API )?[Ee]rror code: \d{3} - |\d{3} (?:[A-Z][A-Za-z ]{1,40}: )?(?=\S)"
    r"|(?:Input validation|Template|template|Tool|Internal server|Server|vLLM) error(?: \d{3})?: "
    r"|Value error, |invalid operation: |syntax error: |undefined value: |got exception: |Jinja Exception: "
    r"|The model returned the following errors: |Malformed input request: (?:#[^:\n]{0,60}: )?"
    r"|Request failed during generation: |ollama: |LLM request rejected: |<\d{3}> [\w.]{1,80}: "
    r"|Invalid input argument for Model '[^'\n]{1,200}': "
    r"|Failed to (?:initialize samplers|create new sequence|format input): "
    r"|Failed to deserialize the JSON body into the target type: (?:[\w.\[\]]{1,80}: )?"
    r"|\{['\"](?:error|detail)['\"]: ?['\"]?|\{(?:['\"](?:type|object)['\"]: ?['\"][\w ]{0,60}['\"], ?)?"
    r"(?:['\"]error['\"]: ?\{(?:['\"]type['\"]: ?['\"][\w ]{0,60}['\"], ?)?)?['\"]message['\"]: ?['\"]"
)
_TEMPLATE_TRACE = re.compile(r"While executing \w{1,40} at line \d+")
# Where in a request something is wrong, as OpenAI's API and FastAPI name it.
_PLACE = re.compile(r"(?:body\.)?([a-z_]{1,40})((?:\[\d{1,4}\]|\.[a-z_]{1,40}){0,8})")
# Pydantic's report as text: the place stands before the value, which is the caller's.
_VALIDATION = re.compile(
    r"(?:\d+ validation errors?:\s+|\[)\{'type': '(?P<type>\w{1,60})', 'loc': "
    r"(?P<loc>'[\w.]{1,200}'|\((?:'[\w.-]{1,60}'|\d{1,6}|, ?){1,60}\)), 'msg': ['\"]"
    r"|\d+ validation errors? for \w{1,80}\n(?P<path>[\w.]{1,200})\n  "
)


class Report:
    """One report.

    Shape:  `texts` from the outermost to the innermost; `names` are those in `code`, `type` and the like.
            `param`: a field of the request. `is_unknown`: the engine does not know that field.
    Units:  `size` tokens.
    """

    def __init__(self, body: Any) -> None:
        self.texts: list[str] = []
        self.names: list[str] = []
        self.codes: list[int] = []
        self.param: str | None = None
        self.size: int | None = None
        self.is_unknown = False
        self.read(body, _MAX_DEPTH)

    def read(self, value: Any, depth: int) -> None:
        """Collect what a value says, however deep its shape hides it."""
        if depth == 0:
            return
        if isinstance(value, str):
            self.read_text(value[:_MAX_LENGTH], depth)
        elif isinstance(value, list):
            for each in value[:20]:
                self.read_fault(each, depth)
        elif isinstance(value, dict):
            for key in ("code", "status", "error_type", "type", "__type"):
                self.add_name(value.get(key))
            if place := _PLACE.fullmatch(str(value.get("param"))):
                self.param = self.param or (place[1] in FIELDS and place[1] + place[2]) or None
            if isinstance(value.get("n_ctx"), int):
                self.size = value["n_ctx"]
            for key in ("error", "errors", "message", "Message", "detail", "innererror", "metadata", "raw"):
                self.read(value.get(key), depth - 1)

    def read_text(self, text: str, depth: int) -> None:
        """Add a text, and what is left of it as each wrapper is taken off; JSON inside is read as such."""
        for _ in range(_MAX_WRAPPERS):
            if text.startswith("{"):
                with suppress(ValueError, RecursionError):
                    self.read(json.JSONDecoder().raw_decode(text)[0], depth - 1)
                    return
            if _TEMPLATE_TRACE.match(text):
                self.names.append("template")
                text = text.rpartition("\nError: ")[2]
            if place := _VALIDATION.match(text):
                self.is_unknown |= place["type"] == "extra_forbidden"
                self.add_param(place["loc"] or place["path"])
                text = text[place.end() :]
            self.texts.append(text)
            wrapper = _WRAPPERS.match(text)
            if not wrapper or not wrapper[0]:
                return
            self.add_name(wrapper["name"] or wrapper["aws"])
            text = text[wrapper.end() :]
            if wrapper[0].startswith("{"):  # JSON that was cut, or Python's form of a dict
                text = text.replace('\\"', '"').replace("\\n", "\n")

    def read_fault(self, fault: Any, depth: int) -> None:
        """Read one of pydantic's faults: what it is about and says, never the `input` that it quotes.

        Gemini and watsonx have errors in lists.
        """
        if isinstance(fault, dict) and "msg" not in fault:
            self.read(fault, depth - 1)
        elif isinstance(fault, dict):
            loc = fault.get("loc")
            self.add_param(" ".join(map(str, loc)) if isinstance(loc, list) else str(loc))
            self.is_unknown |= fault.get("type") == "extra_forbidden"
            if isinstance(message := fault.get("msg"), str):
                self.read_text(message[:_MAX_LENGTH], depth - 1)

    def add_name(self, value: Any) -> None:
        """Add what stands in `code`, `type` or the like: a number, also as text, or a name."""
        if isinstance(value, str) and len(value) <= 200:
            if re.fullmatch(r"\d{3}", value):
                self.codes.append(int(value))
            else:
                letters = re.sub("[^a-z]", "", value.rpartition("#")[2].lower())
                self.names += [re.sub("(?:error|exception)$", "", letters), value]
        elif isinstance(value, int | float) and not isinstance(value, bool) and 100 <= value <= 599:
            self.codes.append(int(value))

    def add_param(self, place: str) -> None:
        """Keep the first name in a place that is a field of a request."""
        named = (name for name in re.findall(r"[a-z_]+", place[:1000]) if name in FIELDS)
        self.param = self.param or next(named, None)

    def recorded(self) -> tuple[str | None, dict[str, str]]:
        """Return the kind of the first recorded wording, else of a code of OpenAI's; and what it names."""
        for text in reversed(self.texts):
            for pattern, kind in patterns():
                found = pattern.match(text)
                if found and (found.groupdict().get("param") or "stop") in FIELDS:
                    return kind, {name: group for name, group in found.groupdict().items() if group}
        code = next((name for name in self.names if name in CODES), None)
        return (CODES[code], {"code": code}) if code and self.param else (None, {})
