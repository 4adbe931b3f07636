"""What can be set up, and the steps of each goal. All that they make lies in the clone."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.install.machine import has_node
from infra.install.step import VENV_PYTHON, Step
from infra.paths import ROOT

_PYTHON = str(VENV_PYTHON)
_PIP = (_PYTHON, "-m", "pip", "--disable-pip-version-check", "--no-input")
_NPM = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
_GENERATE = (_PYTHON, "-m", "prisma", "generate")
_SCHEMA = "functions/todos/prisma/schema.prisma"
_NODE_LOCK = ("package.json", "package-lock.json")
_COMPILER = "infra/install/compiler.py"
_COMPILER_SOURCES = (
    _COMPILER,
    "layers/prisma/package-lock.json",
    "layers/prisma/python/prisma_in_process/compiler.py",
    "requirements/todos.txt",  # a file is for one version of wasmtime
)
_PLANS = "infra/install/plans.py"
_PLANS_SOURCES = (
    *_COMPILER_SOURCES,
    _PLANS,
    _SCHEMA,
    *(f"functions/todos/{name}.py" for name in ("pages", "plans", "store", "todos")),
    *(
        f"layers/prisma/python/prisma_in_process/{name}.py"
        for name in ("__init__", "cache", "models", "plans", "requests")
    ),
)
_PRISMA_SOURCES = tuple(f"layers/prisma/{name}" for name in (*_NODE_LOCK, "engines"))


def _packages(goal: str, title: str, fetch_mb: int, disk_mb: int) -> Step:
    """Install what a goal needs into the environment."""
    lock = f"requirements/{goal}.txt"
    command = (_PYTHON, PACKAGES, lock)
    return Step(2, f"packages-{goal}", title, fetch_mb, disk_mb, command, (lock, PACKAGES))


def _apart(name: str, title: str, fetch_mb: int, disk_mb: int) -> Step:
    """Install what the lock of that name pins into a folder of its own."""
    lock = f"requirements/{name}.txt"
    command = (_PYTHON, PACKAGES, lock, f".local/{name}")
    return Step(2, name, title, fetch_mb, disk_mb, command, (lock, PACKAGES))


def _npm(lock: str) -> tuple[str, ...]:
    """Install what the folder `lock` pins into a folder of its own."""
    return (_PYTHON, NPM, lock, f".local/{Path(lock).name}")


def _download(lock: str, folder: str) -> tuple[str, ...]:
    return (*_PIP, "download", "--require-hashes", "-r", lock, "--no-deps", "-d", folder)


def _venv() -> tuple[str, ...]:
    """Make the environment; from scratch, where it belongs to another Python."""
    folder = ROOT / ".venv"
    library = folder / "lib" / "python{}.{}".format(*sys.version_info[:2])
    clear = ("--clear",) if folder.exists() and not library.exists() else ()
    return (sys.executable, "-m", "venv", *clear, str(folder))


UV, RUN, TEST, DEPLOY = (f"requirements/{name}.txt" for name in ("uv", "run", "test", "deploy"))
EMULATOR = "requirements/emulator.txt"
NODE, PAGES = "infra/node.py", "infra/pages.py"
PACKAGES, NPM = "infra/install/packages.py", "infra/install/npm.py"
CLIENTS_NODE, CLIENTS_NODE_6 = "requirements/clients-node", "requirements/clients-node-6"

# Stage, name, title, MB to fetch, MB on disk, command, sources.
STEPS = (
    Step(0, "venv", "Python environment", 0, 26, _venv()),
    Step(1, "node", "Node.js", 61, 205, (_PYTHON, NODE), (NODE, "requirements/node.txt")),
    Step(1, "uv", "Package installer", 18, 39, (*_PIP, "install", "--require-hashes", "-r", UV), (UV,)),
    _packages("run", "Python packages", 98, 340),
    _packages("test", "Python packages", 271, 910),
    _packages("deploy", "Python packages", 138, 400),
    _packages("openai", "OpenAI's client", 6, 47),
    _apart("model", "Model", 93, 98),
    Step(2, "prisma", "Prisma", 24, 41, _NPM, _PRISMA_SOURCES, folder="layers/prisma"),
    Step(2, "graphiql", "GraphQL page", 7, 2, (_PYTHON, PAGES, "graphiql"), (PAGES,)),
    Step(2, "chat-page", "Chat page", 2, 0, (_PYTHON, PAGES, "chat-page"), (PAGES,)),
    Step(2, "emulator", "AWS's runtime emulator", 8, 8, _download(EMULATOR, ".local/emulator"), (EMULATOR,)),
    _apart("ministack", "Local AWS", 20, 48),
    _apart("openai-2", "OpenAI's client, version 2", 2, 12),
    _apart("clients", "Clients of other projects", 27, 96),
    _apart("clients-2", "Older clients", 87, 279),
    _apart("clients-3", "Python clients", 240, 756),
    Step(2, "clients-node", "Clients in Node.js", 235, 740, _npm(CLIENTS_NODE), (CLIENTS_NODE, NPM)),
    Step(
        2, "clients-node-6", "Older clients in Node.js", 13, 72, _npm(CLIENTS_NODE_6), (CLIENTS_NODE_6, NPM)
    ),
    _apart("frameworks", "ASGI frameworks", 57, 203),
    Step(2, "node-packages", "Node packages", 113, 197, _NPM, _NODE_LOCK),
    Step(2, "cdk", "CDK", 11, 30, (*_NPM, "--omit=dev"), _NODE_LOCK),
    Step(3, "client-of-run", "Prisma client", 0, 1, _GENERATE, (_SCHEMA, RUN)),
    Step(3, "client-of-test", "Prisma client", 0, 1, _GENERATE, (_SCHEMA, TEST)),
    Step(3, "client-of-deploy", "Prisma client", 0, 1, _GENERATE, (_SCHEMA, DEPLOY)),
    Step(4, "compiler", "Prisma's compiler", 0, 5, (_PYTHON, _COMPILER), _COMPILER_SOURCES),
    Step(5, "plans", "Queries of the todos", 0, 0, (_PYTHON, _PLANS), _PLANS_SOURCES),
)
_EVERYWHERE = ("venv", "uv", "node", "prisma", "compiler", "plans", "graphiql", "chat-page")
_TEST = (*_EVERYWHERE, "packages-test", "client-of-test", "model", "emulator")
_CLIENTS = ("openai-2", "clients", "clients-2", "clients-3", "clients-node", "clients-node-6")
GOALS = {
    "run": (*_EVERYWHERE, "packages-run", "client-of-run", "model"),
    "chat": ("venv", "packages-openai"),
    "test": _TEST,
    "test-clients": (*_TEST, *_CLIENTS, "node-packages"),
    "test-all": (*_TEST, "ministack", "openai-2", "clients", "frameworks", "node-packages"),
    "deploy": (*_EVERYWHERE, "packages-deploy", "client-of-deploy", "cdk"),
}
# What another step brings as well: this one would remove the rest of it.
PART_OF = {"cdk": "node-packages", "packages-openai": "packages-test"}


def missing_steps(goal: str) -> list[Step]:
    """List what a goal still needs, in order of the stages."""
    done = {step.name for step in STEPS if step.is_done()}
    if has_node():
        done.add("node")
    done |= {part for part, whole in PART_OF.items() if whole in done}
    return sorted(
        (step for step in STEPS if step.name in GOALS[goal] and step.name not in done),
        key=lambda step: step.stage,
    )
