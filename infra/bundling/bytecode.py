"""Compiled modules: a function whose packages have none starts at less than half the speed.

Lambda's clocks and file dates mean nothing to them: Python takes an `unchecked-hash` file without looking at
its source, which is kept for tracebacks.
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
