"""What a million streamed completions cost on their way through the API; the engine's part is apart."""

from __future__ import annotations

from dataclasses import dataclass

from infra.costs.lines import Line
from infra.costs.prices import usd
from infra.stages import Stage

_MILLION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What a request is like.

    Units:  `duration_s` s, in which the function waits for the engine and is paid for. `tokens` of the
            completion, each an event of `event_bytes`. `writes` and `reads` of the table for a key with
            limits: reserved, opened, settled, closed; the key itself, known for 30 s. `log_bytes`: Lambda's
            three lines, the metrics' line, the access log. `traced`: share of requests.
    """

    duration_s: float = 10
    tokens: int = 300
    event_bytes: int = 230
    writes: int = 4
    reads: int = 1
    log_bytes: int = 2_500
    traced: float = 0.05


def per_million_requests(stage: Stage, assumptions: Assumptions) -> list[Line]:
    """Return the bill of a million streamed completions."""
    lines = [*_doors(stage, assumptions), *_traces(assumptions)]
    if stage.waf:
        lines.append(Line(what="firewall", quantity="a million", usd=usd("inspected", _MILLION)))
    return lines


def _doors(stage: Stage, each: Assumptions) -> list[Line]:
    gb_seconds = each.duration_s * stage.memory_mb[0] / 1024 * _MILLION
    out_gb, logged_gb = each.tokens * each.event_bytes / 1e3, each.log_bytes / 1e3
    return [
        Line(what="API Gateway", quantity="a million", usd=usd("gateway", _MILLION)),
        Line(what="Lambda, requests", quantity="a million", usd=usd("invocation", _MILLION)),
        Line(
            what="Lambda, while it waits",
            quantity=f"{gb_seconds / 1e6:.1f} million GB-s",
            usd=usd(stage.architecture, gb_seconds),
        ),
        Line(
            what="DynamoDB, writes",
            quantity=f"{each.writes} million",
            usd=usd("write", each.writes * _MILLION),
        ),
        Line(
            what="DynamoDB, reads", quantity=f"{each.reads} million", usd=usd("read", each.reads * _MILLION)
        ),
        Line(what="data to the internet", quantity=f"{out_gb:g} GB", usd=usd("out", out_gb)),
        Line(what="logs", quantity=f"{logged_gb:g} GB", usd=usd("logged", logged_gb)),
    ]


def _traces(each: Assumptions) -> list[Line]:
    traced = each.traced * _MILLION
    return [Line(what="traces", quantity=f"{traced:,.0f}", usd=usd("trace", traced))]
