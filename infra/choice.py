"""The chosen stage, and whether it can be built: mistakes are reported before CDK runs into them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from infra import instances
from infra.constructs.log_groups import RETENTIONS
from infra.inference import fit
from infra.stages import STAGES, Architecture, Domain, Engine, Hosted, Prices, Stage

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/,*]+")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SECRET = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^:*]+-[A-Za-z0-9]{6}")
# The kinds of engines that functions/chat/engines/kinds.py knows.
KINDS = ("vllm", "llama.cpp", "sglang", "tgi", "ollama", "bedrock", "litellm", "openai")
_LONGEST_HEDGE_S = 60
# Lambda takes events of 6 MB, of which the body is a part, with its quotes escaped.
_MAX_BODY_BYTES = 5_000_000
# For a million tokens: a larger one is a mistake of units.
_MAX_PRICE = 100_000
_ARCHITECTURES: Mapping[str, Architecture] = {"arm64": "arm64", "x86_64": "x86_64"}


class ChoiceError(Exception):
    """The command line or a stage has a mistake; the text has what was expected."""


def chosen_stage(
    name: str, stages: Mapping[str, Stage] = STAGES, *, architecture: str | None = None
) -> Stage:
    """Return the stage of this name, its functions for the given processor instead of their own.

    Raises: ChoiceError, with the stages that there are, or all mistakes of this one.
    """
    if name not in stages:
        raise ChoiceError(
            f"Expected one of the stages {', '.join(stages)}, but got {name!r}. Run `make deploy STAGE=dev`, "
            "or cdk with `-c stage=dev`; a stage of your own is one more entry in infra/stages.py."
        )
    stage = stages[name]
    if architecture is not None:
        if architecture not in _ARCHITECTURES:
            raise ChoiceError(f"Expected the architecture arm64 or x86_64, but got {architecture!r}.")
        stage = replace(stage, architecture=_ARCHITECTURES[architecture])
    if mistakes := list(_mistakes(stage)):
        raise ChoiceError("\n".join(f"infra/stages.py, {name}: {mistake}" for mistake in mistakes))
    return stage


def _mistakes(stage: Stage) -> Iterator[str]:
    if not _NAME.fullmatch(stage.name):
        yield f"name: expected lower-case letters, digits and hyphens, at most 20, but got {stage.name!r}."
    if not 2 <= stage.zones <= 6:
        yield f"zones: expected 2 (Aurora's minimum) to 6, but got {stage.zones}."
    if stage.log_days not in RETENTIONS:
        yield f"log_days: expected one of {', '.join(map(str, RETENTIONS))}, but got {stage.log_days}."
    least, most = stage.database.capacity
    if not 0 <= least <= most or most == 0:
        yield f"database.capacity: expected the minimum, then the maximum, but got {least} and {most}."
    if stage.engine:
        yield from fit.mistakes(stage.engine)
        yield from _engine_mistakes(stage, stage.engine)
    if stage.managed_instances:
        yield from instances.mistakes(stage, stage.managed_instances)
    yield from _model_mistakes(stage)
    for origin in stage.cors_origins:
        if stage.cors_origins != ("*",) and not _ORIGIN.fullmatch(origin):
            yield f'cors_origins: expected ("*",) or such as "https://app.example.com", but got {origin!r}.'
    yield from _limit_mistakes(stage)
    if stage.domain:
        yield from _domain_mistakes(stage.domain)


_WORDS = {
    "egress": ("ipv6", "nat"),
    "gateway_role": ("ours", "theirs", "none"),
    "url_auth": ("NONE", "AWS_IAM"),
}


def _model_mistakes(stage: Stage) -> Iterator[str]:
    """Yield mistakes of the hosted models, and those between all models."""
    if not stage.listed_models:
        yield "engine, hosted: expected an engine, or a hosted model at least, but got neither."
    models = ((stage.engine.model,) if stage.engine else ()) + stage.hosted
    ids = [model.id for model in models]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"hosted: expected a name of its own for each model, but got {name!r} twice."
    currencies = {model.prices.currency for model in models if model.prices}
    if len(currencies) > 1:  # a key's costs are added up, whichever models it used
        yield f"prices: expected one currency for all models, but got {' and '.join(sorted(currencies))}."
    for number, hosted in enumerate(stage.hosted):
        yield from (f"hosted[{number}].{mistake}" for mistake in _hosted_mistakes(hosted))


def _hosted_mistakes(hosted: Hosted) -> Iterator[str]:
    if hosted.kind not in KINDS:
        yield f"kind: expected one of {', '.join(KINDS)}, but got {hosted.kind!r}."
    if hosted.base_url is None:
        if hosted.kind != "bedrock":
            yield f'kind: expected "bedrock" without base_url, but got {hosted.kind!r}.'
        if hosted.key_secret:
            yield "key_secret: expected none for Bedrock, which takes the function's role, but got one."
    else:
        url = urlsplit(hosted.base_url)
        if url.scheme != "https" or not _HOST.fullmatch(url.hostname or ""):
            yield (
                "base_url: expected https:// and a public name, as in https://api.example.com/v1, "
                f"but got {hosted.base_url!r}."
            )
    if hosted.key_secret and not _SECRET.fullmatch(hosted.key_secret):
        got = repr(hosted.key_secret)
        yield f"key_secret: expected the whole ARN of a secret, as AWS prints it, but got {got}."
    if not 1 <= hosted.max_tokens_default <= hosted.max_tokens_limit:
        limits = f"{hosted.max_tokens_default} and {hosted.max_tokens_limit}"
        yield f"max_tokens_default: expected 1 to max_tokens_limit, but got {limits}."
    yield from _field_mistakes(hosted.extra_fields)
    yield from _price_mistakes(hosted.prices)


def _limit_mistakes(stage: Stage) -> Iterator[str]:
    for name, words in _WORDS.items():
        if getattr(stage, name) not in words:
            yield f"{name}: expected {' or '.join(words)}, but got {getattr(stage, name)!r}."
    if not 1 <= stage.max_body_bytes <= _MAX_BODY_BYTES:
        yield (
            f"max_body_bytes: expected 1 to {_MAX_BODY_BYTES}, since Lambda takes events of 6 MB, "
            f"but got {stage.max_body_bytes}."
        )
    for name in ("max_event_bytes", "keep_records_days", "budget"):
        value = getattr(stage, name)
        if value is not None and value < 1:
            yield f"{name}: expected at least 1, but got {value}."


def _engine_mistakes(stage: Stage, engine: Engine) -> Iterator[str]:
    model, (_, at, digest) = engine.model, engine.image.partition("@")
    for host in model.media_hosts:
        if not _HOST.fullmatch(host):
            yield f"engine.model.media_hosts: expected names such as images.example.com, but got {host!r}."
    if model.media_hosts and stage.egress != "nat":
        yield 'engine.model.media_hosts: expected none without egress="nat", by which they are reached.'
    for mistake in (*_field_mistakes(model.extra_fields), *_price_mistakes(model.prices)):
        yield f"engine.model.{mistake}"
    if model.hedge_after_s is not None:
        if not 0 < model.hedge_after_s <= _LONGEST_HEDGE_S:
            yield (
                f"engine.model.hedge_after_s: expected above 0, at most {_LONGEST_HEDGE_S}, "
                f"but got {model.hedge_after_s}."
            )
        elif not stage.hosted:
            yield "engine.model.hedge_after_s: expected a hosted model that gets the stream, but got none."
    if at and not _DIGEST.fullmatch(digest):
        yield f"engine.image: expected sha256: and 64 hexadecimal digits after @, but got {digest!r}."


def _field_mistakes(fields: tuple[str, ...]) -> Iterator[str]:
    for field in fields:
        if not _FIELD.fullmatch(field):
            yield f"extra_fields: expected names such as top_k, but got {field!r}."


def _price_mistakes(prices: Prices | None) -> Iterator[str]:
    for name in ("input", "cached", "output") if prices else ():
        price = getattr(prices, name)
        if price is not None and not 0 <= price <= _MAX_PRICE:
            yield f"prices.{name}: expected 0 to {_MAX_PRICE}, but got {price}."
    if prices and not _CURRENCY.fullmatch(prices.currency):
        yield f"prices.currency: expected a code such as USD or EUR, but got {prices.currency!r}."


def _domain_mistakes(domain: Domain) -> Iterator[str]:
    if not _HOST.fullmatch(domain.name):
        yield f"domain.name: expected a name such as api.example.com, but got {domain.name!r}."
    if not _CERTIFICATE.fullmatch(domain.certificate_arn):
        yield (
            "domain.certificate_arn: expected the ARN of an ACM certificate of this region, as in "
            f"arn:aws:acm:eu-central-1:111122223333:certificate/…, but got {domain.certificate_arn!r}."
        )
