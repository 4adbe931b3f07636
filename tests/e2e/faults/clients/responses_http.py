"""HTTP alone at `/v1/responses`, held to OpenAI's schemas and to the order of its events."""

from typing import Any

import httpx

from tests.e2e.faults.clients.cases import FLAT_TOOLS, MESSAGES, Outcome, Run, main, said_by_response
from tests.e2e.faults.clients.raw_http import Refused
from tests.engines import schema
from tests.engines.responses import check_response_stream, events_of, validate_response


def client(url: str, key: str) -> Run:
    """Return what runs one case."""
    http = httpx.AsyncClient(
        base_url=url, headers={"authorization": f"Bearer {key}"}, trust_env=False, timeout=30
    )

    async def run(case: dict[str, Any]) -> Outcome:
        fields = {"input": MESSAGES, "tools": FLAT_TOOLS, **case["fields"]}
        reply = await http.post("/responses", json={**fields, "stream": case["mode"] == "stream"})
        if reply.status_code != 200:
            raise Refused(schema.validate_error(reply.json()), reply.status_code)
        kind = reply.headers["content-type"]
        if case["mode"] == "whole":
            assert kind == "application/json", kind
            return said_by_response(validate_response(reply.json()))
        assert kind == "text/event-stream; charset=utf-8", kind
        response = check_response_stream(reply.content)
        if response["status"] == "failed":
            raise Refused(next(each["error"] for each in events_of(reply.content) if each["type"] == "error"))
        return said_by_response(response)

    return run


if __name__ == "__main__":
    main(httpx.__version__, client, (Refused,))
