"""The chosen stage, and whether it can be built: mistakes are reported before CDK runs into them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from infra.constructs.log_groups import RETENTIONS
from infra.inference import fit
from infra.stages import STAGES, Architecture, Domain, Engine, Stage

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")
_HOST = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/,*]+")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
_CURRENCY = re.compile(r"[A-Z]{3}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
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
    mistakes = list(_mistakes(stages[name]))
    if mistakes:
        raise ChoiceError("\n".join(f"infra/stages.py, {name}: {mistake}" for mistake in mistakes))
    if architecture is None:
        return stages[name]
    if architecture in _ARCHITECTURES:
        return replace(stages[name], architecture=_ARCHITECTURES[architecture])
    raise ChoiceError(f"Expected the architecture arm64 or x86_64, but got {architecture!r}.")


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
    if not stage.listed_models:
        yield "engine, hosted: expected an engine, or a hosted model at least, but got neither."
    if stage.engine:
        yield from fit.mistakes(stage.engine)
        yield from _engine_mistakes(stage, stage.engine)
    for origin in stage.cors_origins:
        if stage.cors_origins != ("*",) and not _ORIGIN.fullmatch(origin):
            yield f'cors_origins: expected ("*",) or such as "https://app.example.com", but got {origin!r}.'
    yield from _limit_mistakes(stage)
    if stage.domain:
        yield from _domain_mistakes(stage.domain)


def _limit_mistakes(stage: Stage) -> Iterator[str]:
    if not 1 <= stage.max_body_bytes <= _MAX_BODY_BYTES:
        yield (
            f"max_body_bytes: expected 1 to {_MAX_BODY_BYTES}, since Lambda takes events of 6 MB, "
            f"but got {stage.max_body_bytes}."
        )
    for name in ("max_event_bytes", "keep_records_days"):
        if getattr(stage, name) < 1:
            yield f"{name}: expected at least 1, but got {getattr(stage, name)}."


def _engine_mistakes(stage: Stage, engine: Engine) -> Iterator[str]:
    model, (_, at, digest) = engine.model, engine.image.partition("@")
    for host in model.media_hosts:
        if not _HOST.fullmatch(host):
            yield f"engine.model.media_hosts: expected names such as images.example.com, but got {host!r}."
    if model.media_hosts and stage.egress != "nat":
        yield 'engine.model.media_hosts: expected none without egress="nat", by which they are reached.'
    for field in model.extra_fields:
        if not _FIELD.fullmatch(field):
            yield f"engine.model.extra_fields: expected names such as top_k, but got {field!r}."
    for name in ("input", "cached", "output") if model.prices else ():
        price = getattr(model.prices, name)
        if price is not None and not 0 <= price <= _MAX_PRICE:
            yield f"engine.model.prices.{name}: expected 0 to {_MAX_PRICE}, but got {price}."
    if model.prices and not _CURRENCY.fullmatch(model.prices.currency):
        currency = model.prices.currency
        yield f"engine.model.prices.currency: expected a code such as USD or EUR, but got {currency!r}."
    if at and not _DIGEST.fullmatch(digest):
        yield f"engine.image: expected sha256: and 64 hexadecimal digits after @, but got {digest!r}."


def _domain_mistakes(domain: Domain) -> Iterator[str]:
    if not _HOST.fullmatch(domain.name):
        yield f"domain.name: expected a name such as api.example.com, but got {domain.name!r}."
    if not _CERTIFICATE.fullmatch(domain.certificate_arn):
        yield (
            "domain.certificate_arn: expected the ARN of an ACM certificate of this region, as in "
            f"arn:aws:acm:eu-central-1:111122223333:certificate/…, but got {domain.certificate_arn!r}."
        )
