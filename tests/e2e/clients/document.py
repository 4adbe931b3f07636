"""The part of `docs/clients.md` that is written out of the programs: `python -m tests.e2e.clients.document`.

It prints that part; `--write` updates the document.
"""

import ast
import json
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

from infra.paths import ROOT
from tests.e2e.clients.table import CLIENTS, FOLDER, GRAPHQL_CLIENTS, SCENARIOS, Client

DOCUMENT = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- python -m tests.e2e.clients.document --write -->\n", "<!-- end -->\n"


@dataclass(frozen=True)
class Language:
    """How a language's programs are read, as regular expressions, and how it prints."""

    name: str
    comment: str
    imported: str
    declared: str
    spaced: str
    called: str
    body: str
    printing: str


PYTHON = Language(
    "python",
    r'\A"""(.*?)"""\n',
    r"^((?:from \S+ )?import )(.+)($)",
    r"^(class (\w+).*\n(?:(?: .*)?\n)+)",
    "\n{}\n",
    r"^\w+\(.*\)$",
    r"^def {}\(.*\n((?:(?: .*)?\n)+)",
    "print({})",
)
JAVASCRIPT = Language(
    "js",
    r"\A// ([^\n]*)\n",
    r"^(import (?:\{ )?)(.+?)((?: \})? from .+)$",
    r"^(const (\w+) = .*\n(?:(?: .*|\}\);)\n)*)",
    "{}",
    r"^\w+\(.*\);$",
    r"^export async function {}\(.*\n((?:(?: .*)?\n)+)",
    "console.log({});",
)
# What is shown instead of `chat`, where the client's users type a command.
COMMAND = re.compile(r'^COMMAND = (("""|\'|").*?\2)$', re.DOTALL | re.MULTILINE)
LANGUAGES = {".py": PYTHON, ".mjs": JAVASCRIPT}


def written(document: str) -> str:
    """Return the document with what is written between its marks."""
    before, _, rest = document.partition(BEGIN)
    between, _, after = rest.partition(END)[2].partition(BEGIN)
    chat, graphql = (f"{BEGIN}\n{text}\n\n{END}" for text in (f"{table()}\n\n{sections()}", graphql_table()))
    return f"{before}{chat}{between}{graphql}{after.partition(END)[2]}"


def table() -> str:
    """Return what each client was seen to do."""
    head = ["", "version", "calls", *SCENARIOS]
    rows = [head, ["---"] * len(head)]
    for client in CLIENTS:
        marks = ["✓" if name in client.scenarios else "–" for name in SCENARIOS]
        rows.append([client.name, version(client), f"`{client.endpoint}`", *marks])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def graphql_table() -> str:
    """Return how each GraphQL client is installed, with its program."""
    rows = [["", "version", "", "used"], ["---"] * 4]
    for client in GRAPHQL_CLIENTS:
        (note,) = re.findall(LANGUAGES[Path(client.file).suffix].comment, client.source, re.DOTALL)
        program = f"[program](../{(FOLDER / client.file).relative_to(ROOT)})"
        rows.append([client.name, version(client), f"`{client.install}`", f"{note} ({program})"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def sections() -> str:
    """Return a section for each client: how to install it, a note, and how its users chat."""
    by_file = {client.file: client for client in reversed(CLIENTS)}
    return "\n\n".join(section(by_file[file]) for file in dict.fromkeys(client.file for client in CLIENTS))


def section(client: Client) -> str:
    language = LANGUAGES[Path(client.file).suffix]
    (note,) = re.findall(language.comment, client.source, re.DOTALL)
    if command := COMMAND.search(client.source):
        kind, text = "sh", str(ast.literal_eval(command[1])).replace("$MODEL", "default")
    else:
        kind, text = language.name, example(client, language)
    note = " ".join(note.split())
    return f"## {client.name}\n\n`{client.install}`. {note}\n\n```{kind}\n{text}\n```"


def example(client: Client, language: Language) -> str:
    """Return how the client's user chats: a function's body, with the default model, and what it needs."""
    name = "chat" if "chat" in client.scenarios else "structured"
    (body,) = re.findall(language.body.format(name), client.source, re.MULTILINE)
    body = textwrap.dedent(body).strip()
    body = re.sub(
        r"^return ((?:.|\n)*)\Z",
        lambda last: language.printing.format(last[1].removesuffix(";")),
        body,
        flags=re.MULTILINE,
    )
    for wanted, there in (
        (r'f"([^"{]*)\{model\}"', r'"\1default"'),
        (r"(?<=[ {])model(?=,| \})", 'model: "default"'),
        (r'(?<![\w."/])model(?![\w=(:])', '"default"'),
    ):
        body = re.sub(wanted, there, body)
    used = set(re.findall(r"\w+", body))
    declared = [
        language.spaced.format(text.strip())
        for text, name in re.findall(language.declared, client.source, re.MULTILINE)
        if name in used
    ]
    calls = re.findall(language.called, client.source, re.MULTILINE)
    used |= set(re.findall(r"\w+", "\n".join([*declared, *calls])))
    imports = []
    for start, names, end in re.findall(language.imported, client.source, re.MULTILINE):
        if wanted_names := [name for name in names.split(", ") if name in used]:
            imports.append(f"{start}{', '.join(wanted_names)}{end}")
    return "\n\n".join(filter(None, ["\n".join(imports), *declared, "\n".join(calls), body]))


def version(client: Client) -> str:
    """Return the version that is pinned, and tested."""
    text = (ROOT / client.lock).read_text()
    if client.lock.endswith(".json"):
        pinned: str = json.loads(text)["packages"][f"node_modules/{client.package}"]["version"]
        return pinned
    (pinned,) = re.findall(rf"^{re.escape(client.package)}(?:\[.*\])?==(\S+)", text, re.MULTILINE)
    return pinned


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(written(DOCUMENT.read_text()))
    else:
        print(f"{table()}\n\n{sections()}")
