"""`python -m tests.tools.words [path …]`: words that this project does not use, and what to write instead.

Every file that git tracks is read whole, names of files too: identifiers are split into their words first
(`tellState`, `tell_state`), and a phrase is found across the end of a line.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What not to write, as a regular expression of whole words, and what to write instead.
WORDS = {
    r"ask|asks|asked|asking|asker": "request, call, query, read",
    r"tell|tells|telling|told|teller": "return, set, report, log, notify",
    r"answerer|answerers": "server, engine, endpoint",
    r"(front )?doors?": "gateway, API Gateway, Function URL, load balancer",
    r"asleep|awake|at rest|rests|rested|resting": "scaled to zero, cold; running; idle cost",
    r"wakes?|waking|waken|wakened|woke|woken|wakeup": "start, starting, scale from zero",
    r"patience|patient|patiently": "timeout, timing",
    r"mend|mends|mended|mending": "normalise, repair",
    r"nobody|nobody s": "no caller, no engine; dummy",
    r"whoever": "which, who, any caller",
    r"befalls?|befell|befallen": "happens to",
    r"anew": "again, refresh",
    r"doubts?|doubted|doubting": "invalidate, refresh",
    r"sees? to it|sorts? out": "make sure, set",
    r"comes? to the same": "is idempotent",
    r"out of reach": "unreachable, unavailable",
}

# Files that are not read: generated, recorded, or with a checksum that is stored elsewhere.
UNREAD = (
    "LICENSE",
    "*.lock",
    "package-lock.json",
    "requirements/*",
    "tests/recordings/*",
    "tests/reference/*",
    "functions/todos/prisma/migrations/*",
    "tests/unit/infra/logical_ids.txt",
    "tests/tools/words.py",
    "tests/unit/test_words.py",
)

# Words that stay where they are, by file: names that are stored or deployed, and what people say to a model
# or to each other.
EXCEPTIONS: dict[str, tuple[str, ...]] = {
    "*": (
        "Tell me a joke",
        "encrypted at rest",
        "encryption at rest",
        ".tell()",
        "ask the operator",
        "tell the operator",
    ),
    # CDK ids are deployed, and keep their names.
    "docs/operations.md": ("FrontDoorAccessLog",),
    "infra/smoke/__main__.py": ("FrontDoorAccessLog",),
    "infra/stacks/api.py": ("FrontDoor",),
    "tests/deploy/test_prod.py": ("FrontDoorAccessLog", "FrontDoorApiCloudWatchRole"),
}

_BETWEEN_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_")
_GAP = r"[\s#*/-]+"
_WORDS = re.compile(rf"\b(?:{'|'.join(WORDS)})\b".replace(" ", _GAP), re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """One word at one place; the name of a file is line 0."""

    path: str
    line: int
    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.word}: {self.text}"


def findings(paths: Iterable[str] = ()) -> Iterator[Finding]:
    """Yield what is found in the tracked files, all of them or those below the paths."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--", *paths), cwd=ROOT, capture_output=True, check=True
    )
    for path in sorted(filter(None, listed.stdout.decode().split("\0"))):
        if not any(fnmatch(path, unread) for unread in UNREAD) and (ROOT / path).is_file():
            data = (ROOT / path).read_bytes()
            yield from findings_in(path, "" if b"\0" in data else data.decode())


def findings_in(path: str, text: str) -> Iterator[Finding]:
    """Yield what is found in a text and in its path: words are separated, exceptions removed, lines kept."""
    lines = [path, *text.splitlines()]
    text = _BETWEEN_WORDS.sub(" ", "\n".join(lines))
    for pattern, phrases in EXCEPTIONS.items():
        if fnmatch(path, pattern):
            for phrase in phrases:
                text = re.sub(re.escape(_BETWEEN_WORDS.sub(" ", phrase)), "", text, flags=re.IGNORECASE)
    for match in _WORDS.finditer(text):
        line = text.count("\n", 0, match.start())
        yield Finding(path, line, " ".join(re.split(_GAP, match[0].lower())), lines[line].strip())


def main(paths: list[str]) -> None:
    """Print what is found and what to write instead. Exits with 1 if there is anything."""
    found = list(findings(paths))
    print(*found, sep="\n")
    for word, count in Counter(each.word for each in found).most_common():
        instead = next(each for words, each in WORDS.items() if re.fullmatch(words, word))
        print(f"{count:>5}  {word:<12}  write: {instead}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main(sys.argv[1:])
