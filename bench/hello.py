"""A usual start: FastAPI and Mangum on the stock runtime, with httpx imported."""

from __future__ import annotations

from typing import Any

import httpx  # noqa: F401 - imported for its cost alone
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """Say hello."""
    return {"hello": "world"}


handler: Any = Mangum(app)
