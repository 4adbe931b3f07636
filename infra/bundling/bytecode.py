"""Compiled modules: without them a function takes more than twice as long to start.

File dates do not matter on Lambda: Python loads an `unchecked-hash` file without reading its source, which is
kept for tracebacks.
"""

from pathlib import Path

from infra.bundling.commands import run


def compile_modules(folder: Path, *, python: str, mounted: str) -> None:
    """Compile every module below a folder.

    Shape:  `python` is the path of an interpreter of the version that will run them; `mounted` is where
            Lambda has the folder, as tracebacks name it.
    Raises: BundleError.
    """
    run(
        (
            *(python, "-I", "-S", "-m", "compileall", "-q", "-j", "0"),
            *("--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", mounted, str(folder)),
        ),
        purpose="every module to compile",
        advice=f"Is each of them written for {Path(python).name}?",
    )
