"""A FastAPI app with a pooled client's worth of state, streamed and whole."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from lambda_stream import StreamingHandler


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, list[int]]]:
    yield {"served": []}


app = FastAPI(lifespan=lifespan)


@app.post("/v1/chat/completions")
async def completions(request: Request, body: dict[str, object]) -> dict[str, object]:
    request.state.served.append(1)
    return {"model": body["model"], "served": len(request.state.served)}


@app.get("/numbers")
def numbers() -> StreamingResponse:
    def generate() -> Iterator[str]:
        yield from "123"

    return StreamingResponse(generate(), media_type="text/plain")


handler = StreamingHandler(app)
