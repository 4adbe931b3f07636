"""The environment variables of the deployed functions; `functions/*/settings.py` reads them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aws_cdk import Aws

from infra.stages import Engine, Hosted, Model, Stage

# As long as an engine may take to start, within the 15 minutes of a function.
WARMING_TIMEOUT_S = 840
# A connection is tried for twice as long. A paused Aurora resumes in about 15 s; after a day without
# connections in 30 s or more. Source: Aurora, "Scaling to Zero ACUs with automatic pause and resume".
RESUMING_QUERY_TIMEOUT_S = 29
_QUERY_TIMEOUT_S = 5
# A whole reply sends no byte before its end, and API Gateway ends a response after 5 minutes without one.
REPLY_TIMEOUT_S = 285


@dataclass(frozen=True, kw_only=True)
class EngineAddress:
    """How the chat function reaches the stage's own engine.

    Shape:  `base_url`: where OpenAI's paths begin. `key_secret`: the ARN of the secret with its key.
            `scaler`: the ARN of the function that starts it; None: it always runs.
    """

    base_url: str
    key_secret: str
    scaler: str | None


def models(
    stage: Stage, *, engine: EngineAddress | None, hosted_function: str | None = None
) -> dict[str, Any]:
    """Return the value of MODELS, as an object: each model, and who answers for it.

    Shape:  `engine`: None where the stage has none. `hosted_function`: the URL of the function that reaches
            the hosted models, with a slash at its end; None: the function with these variables does.
    """
    entries: dict[str, Any] = {}
    if stage.engine and engine:
        model = stage.engine.model
        entries[model.id] = {
            **_entry(model),
            "base_url": engine.base_url,
            "key_secret": engine.key_secret,
            "engine": "vllm",
            "media_hosts": list(model.media_hosts),
            **({"fallback": [each.id for each in stage.hosted]} if stage.hosted else {}),
            **({"hedge_after_s": model.hedge_after_s} if model.hedge_after_s else {}),
            **({"scaler": engine.scaler, "start_s": stage.engine.start_s} if engine.scaler else {}),
        }
    for hosted in stage.hosted:
        entries[hosted.id] = {
            **_entry(hosted),
            # It knows the model by the name that callers use.
            **(
                {"base_url": f"{hosted_function}v1", "credentials": "function_url"}
                if hosted_function
                else _address(hosted)
            ),
            "engine": hosted.kind,
            **({"listed": False} if engine else {}),
        }
    return entries


def _entry(model: Model | Hosted) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "max_tokens_default": model.max_tokens_default,
        "max_tokens_limit": model.max_tokens_limit,
        "extra_fields": list(model.extra_fields),
        "template_tokens": model.template_tokens,
        "media_tokens": model.media_tokens,
    }
    if prices := model.prices:
        cached = prices.input if prices.cached is None else prices.cached
        entry["prices"] = {**asdict(prices), "cached": cached}
    return entry


def _address(hosted: Hosted) -> dict[str, Any]:
    """Return where a hosted model is reached, and by which credentials."""
    if not hosted.is_bedrock:
        secret = {"key_secret": hosted.key_secret} if hosted.key_secret else {}
        return {"base_url": hosted.base_url, "served_name": hosted.served_name, **secret}
    endpoint = f"https://bedrock-runtime.{Aws.REGION}.amazonaws.com/openai/v1"
    return {"base_url": endpoint, "served_name": hosted.served_name, "credentials": "bedrock"}


def chat_environment(
    stage: Stage, *, models_json: str, table: str, scaler: str | None = None
) -> dict[str, str]:
    """Return the variables of the chat function.

    Shape:  `scaler`: the ARN of the function that starts the engine, where it does not always run.
    """
    # By IPv6 Lambda is reached under another name than its usual one.
    by_ipv6 = scaler and stage.egress == "ipv6"
    return {
        **_limits(stage),
        "MODELS": models_json,
        "KEYS_TABLE": table,
        "METRICS": stage.namespace,
        "KEEP_RECORDS_DAYS": str(stage.keep_records_days),
        "WARMING_TIMEOUT_S": str(WARMING_TIMEOUT_S),
        **({"LAMBDA_ENDPOINT": f"https://lambda.{Aws.REGION}.api.aws"} if by_ipv6 else {}),
        **({"CHAT_PAGE": "/var/task/chat-page"} if stage.chat_page else {}),
        **_cors(stage),
    }


def hosted_environment(stage: Stage, *, models_json: str) -> dict[str, str]:
    """Return the variables of the function that reaches hosted models for the chat function.

    It has no table: the chat function, its only caller by IAM, has checked the key, and accounts for it.
    """
    return {**_limits(stage), "MODELS": models_json}


def _limits(stage: Stage) -> dict[str, str]:
    return {
        "MAX_BODY_BYTES": str(stage.max_body_bytes),
        "MAX_EVENT_BYTES": str(stage.max_event_bytes),
        "REPLY_TIMEOUT_S": str(REPLY_TIMEOUT_S),
    }


def scaler_environment(
    engine: Engine, *, cluster: str, service: str, group: str, table: str
) -> dict[str, str]:
    """Return the variables of the scaler function."""
    return {
        "CLUSTER": cluster,
        "SERVICE": service,
        "GROUP": group,
        "TABLE": table,
        "MODEL": engine.model.id,
        "IDLE_MINUTES": str(engine.idle_minutes),
        "HELD_STREAMS": str(engine.held_streams),
        "START_S": str(engine.start_s),
    }


def todos_environment(stage: Stage, *, database_secret: str, table: str) -> dict[str, str]:
    """Return the variables of the todo function."""
    return {
        "DATABASE_SECRET": database_secret,
        "DATABASE_CA": f"/opt/rds-ca/{Aws.REGION}.pem",
        "KEYS_TABLE": table,
        "QUERY_TIMEOUT_S": str(RESUMING_QUERY_TIMEOUT_S if stage.database.pauses else _QUERY_TIMEOUT_S),
        "INTROSPECTION": "on" if stage.graphiql else "off",
        **({"GRAPHIQL": "/var/task/graphiql"} if stage.graphiql else {}),
        **_cors(stage),
    }


def _cors(stage: Stage) -> dict[str, str]:
    return {"CORS_ORIGINS": ",".join(stage.cors_origins)} if stage.cors_origins else {}
