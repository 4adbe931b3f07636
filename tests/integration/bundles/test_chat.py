"""The chat function from its bundles alone, streaming, with keys in DynamoDB."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.engines import events, schema
from tests.engines.behaviours import Chat, Sse
from tests.engines.scripted import ScriptedEngine
from tests.integration.bundles.conftest import golden
from tests.integration.bundles.deployed import Deployed, running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bundles"), pytest.mark.timeout(300)]
MODEL = "scripted"


def completion(event: Any, key: str, **fields: Any) -> Any:
    """Return the event of a completion, with a key and other fields."""
    body = {**json.loads(event["body"]), "model": MODEL, **fields}
    return {
        **event,
        "headers": {**event["headers"], "authorization": f"Bearer {key}"},
        "body": json.dumps(body),
    }


def test_it_streams_without_compiling_anything(
    chat: Deployed, engine: ScriptedEngine, aws: dict[str, str], key: str, tmp_path: Path
) -> None:
    chat.poison_sources()
    engine.behaviour = Chat(stream=Sse(events.tokens(8, pace_s=0.1)))
    models = json.dumps({MODEL: {"base_url": engine.base_url}})
    page = str(chat.task / "chat-page")
    with running(chat, tmp_path / "log", MODELS=models, CHAT_PAGE=page, **aws) as api:
        post = api.invoke(completion(golden("chat_completion_v2"), key, stream=True))
        assert post.prelude["statusCode"] == 200, post.raw
        assert len(schema.validate_stream(post.body)) > 8
        # The prelude, the first event, and the last a while later.
        assert post.arrivals[-2] - post.arrivals[1] > 0.5
        refused = api.invoke(completion(golden("chat_completion_v2"), "sk-unknown"))
        assert refused.prelude["statusCode"] == 401
        docs = api.invoke(_get("/docs"))
        assert docs.prelude["statusCode"] == 200
        assert b"swagger" in docs.body
        document = api.invoke(_get("/", accept="text/html"))
        (script,) = re.findall(r'<script type="module" src="([^"]+)"', document.body.decode())
        assert b"lit-html.js" in api.invoke(_get(f"/{script}")).body
    assert "Traceback" not in (tmp_path / "log").read_text()


def _get(path: str, **headers: str) -> Any:
    event = golden("chat_health_v2")
    event["headers"] |= headers
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    return event
