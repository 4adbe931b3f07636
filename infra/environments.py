"""The environment variables of the deployed functions; `functions/*/settings.py` reads them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aws_cdk import Aws

from infra.stages import Stage

# As long as an engine may take to start, within the 15 minutes of a function.
WARMING_TIMEOUT_S = 840
# A paused Aurora needs about 10 s to resume; a query is sent twice within the function's 30 s.
_RESUMING_QUERY_TIMEOUT_S = 12
_QUERY_TIMEOUT_S = 5


def models(stage: Stage, *, base_url: str, key_secret: str, service: str) -> dict[str, Any]:
    """Return the value of MODELS, as an object: the model, its engine, and the ECS service that starts it."""
    model = stage.engine.model
    engine: dict[str, Any] = {
        "base_url": base_url,
        "key_secret": key_secret,
        "max_tokens_default": model.max_tokens_default,
        "max_tokens_limit": model.max_tokens_limit,
        "engine": "vllm",
        "media_hosts": list(model.media_hosts),
        "extra_fields": list(model.extra_fields),
        "template_tokens": model.template_tokens,
        "media_tokens": model.media_tokens,
    }
    if prices := model.prices:
        cached = prices.input if prices.cached is None else prices.cached
        engine["prices"] = {**asdict(prices), "cached": cached}
    if stage.engine.scales_to_zero:
        engine |= {"ecs_service": service, "start_s": stage.engine.start_s}
    return {model.id: engine}


def chat_environment(stage: Stage, *, models_json: str, table: str) -> dict[str, str]:
    """Return the variables of the chat function."""
    return {
        "MODELS": models_json,
        "KEYS_TABLE": table,
        "METRICS": stage.namespace,
        "MAX_BODY_BYTES": str(stage.max_body_bytes),
        "MAX_EVENT_BYTES": str(stage.max_event_bytes),
        "KEEP_RECORDS_DAYS": str(stage.keep_records_days),
        "WARMING_TIMEOUT_S": str(WARMING_TIMEOUT_S),
        **({"CHAT_PAGE": "/var/task/chat-page"} if stage.chat_page else {}),
        **_cors(stage),
    }


def todos_environment(stage: Stage, *, database_secret: str, table: str) -> dict[str, str]:
    """Return the variables of the todo function."""
    return {
        "DATABASE_SECRET": database_secret,
        # Prisma's native engine reads one certificate: the first of its region's.
        "DATABASE_CA": f"/opt/rds-ca/{Aws.REGION}.pem",
        "KEYS_TABLE": table,
        "PRISMA_QUERY_ENGINE_BINARY": "/opt/query-engine",
        "QUERY_TIMEOUT_S": str(_RESUMING_QUERY_TIMEOUT_S if stage.database.pauses else _QUERY_TIMEOUT_S),
        "INTROSPECTION": "on" if stage.graphiql else "off",
        **({"GRAPHIQL": "/var/task/graphiql"} if stage.graphiql else {}),
        **_cors(stage),
    }


def _cors(stage: Stage) -> dict[str, str]:
    return {"CORS_ORIGINS": ",".join(stage.cors_origins)} if stage.cors_origins else {}
