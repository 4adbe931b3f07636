"""The item of what a key has used, and the updates that reserve, list and release a request in it.

Which update reserves depends on what is stored: the minute, and the period of the budget. So each is built
for the state that is assumed, and is refused in others; the refusal holds what is stored.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, get_args

from .budgets import budget_of
from .items import Item, Parameters, item_of
from .keys import Key, Period
from .limits import MOST_RUNNING, Counts, Running, counts_at, period_at
from .windows import left_ms, most_before, share

# Each by a name of its own: DynamoDB reserves some of these words.
_NAMES = {
    "#w": "window",
    "#r": "requests",
    "#t": "tokens",
    "#rb": "requests_before",
    "#tb": "tokens_before",
    "#s": "spent",
    "#n": "running",
    "#u": "used_at",
}
_RUN, _MORE = "run#", "more#"
# What `run#` lists of a request, and `more#` if there is any of it: versions before 0.5 read the first, and
# fail where it lists more than they know.
_LISTED = ("model", "tokens", "most", "prompt", "started_at", "expires_at", "window", "listing")
_LISTED_MORE = ("period", "cost")
_KINDS: tuple[Period, ...] = get_args(Period)


def limits_place(key_id: str) -> Item:
    """Return where a key's counts are."""
    return item_of({"pk": f"id#{key_id}", "sk": "limits"})


def counts_of(item: Item | None) -> Counts | None:
    """Return the counts of an item; None where nothing is counted yet."""
    if not item:
        return None
    running = {}
    for name, attribute in item.items():
        if name.startswith(_RUN):
            request_id = name.removeprefix(_RUN)
            listed = zip(_LISTED, json.loads(attribute["S"]), strict=False)
            more = json.loads(item.get(f"{_MORE}{request_id}", {"S": "[]"})["S"])
            running[request_id] = Running(
                request_id, **dict(listed), **dict(zip(_LISTED_MORE, more, strict=False))
            )
    names = ("window", "requests", "tokens", "requests_before", "tokens_before", "spent")
    return Counts(
        **{name: _number(item, name) for name in names},
        periods={
            kind: (_number(item, kind), _number(item, f"spent_{kind}")) for kind in _KINDS if kind in item
        },
        running=running,
        used_at=max(_number(item, "used_at"), _number(item, "window") * 60) or None,
    )


def reserve(key: Key, request: Running | None, now: float, assumed: Counts | None) -> Parameters:
    """Return the update that counts a request and reserves what it may use, in the state that is assumed."""
    counts = counts_at(now, assumed)
    update = _Update(key.id, {":one": 1}, request)
    if assumed and assumed.window == counts.window:
        update.count_in_minute(key, counts, now)
    else:
        follows = assumed is not None and assumed.window == counts.window - 1
        update.begin_minute(key, counts, now, follows=follows)
    if request:
        period, _ = period_at(key, counts, now)
        update.list_running(replace(request, window=counts.window, period=period))
        update.conditions += ["(attribute_not_exists(#n) OR #n < :concurrent)"]
        update.adds += ["#s :most"]
        update.values |= {":concurrent": key.concurrent or MOST_RUNNING, ":most": request.most}
        budget = budget_of(key, period)
        if period:
            update.count_in_period(period, counts, request.most, budget)
        elif budget is not None:
            update.conditions += ["(attribute_not_exists(#s) OR #s <= :unspent)"]
            update.values |= {":unspent": budget - request.most}
    return update.parameters()


def list_again(key_id: str, request: Running, assumed: Counts | None) -> Parameters:
    """Return the update that lists a request as running which is not, and reserves nothing for it."""
    update = _Update(key_id, {":one": 1}, request)
    update.list_running(request)
    kind, label = update.name_period(request.period)
    if kind and (assumed.periods if assumed else {}).get(kind, (0, 0))[0] < label:
        update.begin_period(label, 0)
    return update.parameters()


def release(key_id: str, request: Running, used: int, assumed: Counts | None) -> Parameters:
    """Return the update that counts what a running request has used, in the state that is assumed.

    Shape:  `assumed`: None for that in which it reserved.
    """
    values = {":run": _text(request, _LISTED), ":less": -1, ":spent": used - request.most}
    update = _Update(key_id, values, request)
    update.conditions += ["#run = :run"]
    update.removes += ["#run"]
    update.adds += ["#n :less", "#s :spent"]
    later = (assumed.window if assumed else request.window) - request.window
    if later in (0, 1) and request.window >= 0:  # it is below 0 where nothing was reserved
        update.conditions += ["#w = :window"]
        update.adds += ["#tb :tokens" if later else "#t :tokens"]
        update.values |= {":window": request.window + later, ":tokens": used - request.tokens}
    else:
        update.conditions += ["(attribute_not_exists(#w) OR NOT #w BETWEEN :window AND :next)"]
        update.values |= {":window": request.window, ":next": request.window + 1}
    if request.period or request.cost:
        update.removes += ["#more"]
    if request.period:
        kind, label = update.name_period(request.period)
        update.values[":label"] = label
        is_stored = not assumed or assumed.periods.get(kind, (0, 0))[0] == label
        update.conditions += ["#p = :label" if is_stored else "(attribute_not_exists(#p) OR #p <> :label)"]
        update.adds += ["#ps :spent"] if is_stored else []
    return update.parameters()


def touch(key_id: str, now: float) -> Parameters:
    """Return the update that marks a key as used."""
    # Versions before 0.5 let no request through that has a budget where nothing is spent, not even 0.
    update = _Update(key_id, {":now": int(now), ":zero": 0})
    update.sets += ["#u = :now"]
    update.adds += ["#s :zero"]
    return update.parameters()


class _Update:
    """An update of a key's item, which is put together of parts."""

    def __init__(self, key_id: str, values: dict[str, Any], request: Running | None = None) -> None:
        self.key_id, self.values, self.request, self.period = key_id, values, request, ""
        self.sets: list[str] = []
        self.adds: list[str] = []
        self.removes: list[str] = []
        self.conditions: list[str] = []

    def name_period(self, period: str) -> tuple[str, int]:
        """Have `#p` and `#ps` be those of a period; return its kind and its label."""
        self.period, _, label = period.partition(":")
        return self.period, int(label or 0)

    def count_in_minute(self, key: Key, counts: Counts, now: float) -> None:
        """Count in the minute that is stored, with no more of the one before than is known."""
        left = left_ms(counts.window, now)
        self.conditions += ["#w = :window"]
        self.values[":window"] = counts.window
        self.adds += ["#r :one"]
        if key.requests_per_minute is not None:
            self.conditions += ["(attribute_not_exists(#rb) OR #rb <= :rb)", "#r <= :requests"]
            self.values |= {
                ":rb": counts.requests_before,
                ":requests": key.requests_per_minute - 1 - share(counts.requests_before, left),
            }
        if not self.request:
            return
        tokens = self.request.tokens
        self.adds += ["#t :tokens"]
        self.values[":tokens"] = tokens
        if key.tokens_per_minute is not None:
            self.conditions += ["(attribute_not_exists(#tb) OR #tb <= :tb)", "#t <= :free"]
            self.values |= {
                ":tb": counts.tokens_before,
                ":free": key.tokens_per_minute - tokens - share(counts.tokens_before, left),
            }

    def begin_minute(self, key: Key, counts: Counts, now: float, *, follows: bool) -> None:
        """Count first in a minute; what is stored is of the minute before if it `follows`, else earlier."""
        left, tokens = left_ms(counts.window, now), self.request.tokens if self.request else 0
        self.values |= {":window": counts.window, ":last": counts.window - 1, ":tokens": tokens}
        now_used = ["#w = :window", "#r = :one", "#t = :tokens"]
        if not follows:
            self.conditions += ["(attribute_not_exists(#w) OR #w < :last)"]
            self.sets += ["#rb = :zero", "#tb = :zero", *now_used]
            self.values[":zero"] = 0
            return
        self.conditions += ["#w = :last"]
        self.sets += ["#rb = #r", "#tb = #t", *now_used]
        if key.requests_per_minute is not None:
            self.conditions += ["#r <= :requests"]
            self.values[":requests"] = most_before(key.requests_per_minute - 1, left)
        if self.request and key.tokens_per_minute is not None:
            self.conditions += ["#t <= :free"]
            self.values[":free"] = most_before(key.tokens_per_minute - tokens, left)

    def list_running(self, running: Running) -> None:
        """List a request as running, once."""
        self.conditions += ["attribute_not_exists(#run)"]
        self.sets += ["#run = :run"]
        self.adds += ["#n :one"]
        self.values[":run"] = _text(running, _LISTED)
        if running.period or running.cost:
            self.sets += ["#more = :more"]
            self.values[":more"] = _text(running, _LISTED_MORE)

    def count_in_period(self, period: str, counts: Counts, most: int, budget: int | None) -> None:
        """Count in a period of the budget, which is the stored one, or begins."""
        kind, label = self.name_period(period)
        if counts.periods.get(kind, (0, 0))[0] != label:
            self.begin_period(label, most)
            return
        self.values[":label"] = label
        self.conditions += ["#p = :label"]
        self.adds += ["#ps :most"]
        if budget is not None:
            self.conditions += ["#ps <= :unspent"]
            self.values[":unspent"] = budget - most

    def begin_period(self, label: int, spent: int) -> None:
        """Count first in a period of the budget; what is stored is of an earlier one."""
        self.conditions += ["(attribute_not_exists(#p) OR #p < :label)"]
        self.sets += ["#p = :label", "#ps = :first"]
        self.values |= {":label": label, ":first": spent}

    def parameters(self) -> Parameters:
        """Return the arguments of update_item."""
        parts = {"SET": self.sets, "REMOVE": self.removes, "ADD": self.adds}
        update = " ".join(f"{verb} {', '.join(part)}" for verb, part in parts.items() if part)
        condition = {"ConditionExpression": " AND ".join(self.conditions)} if self.conditions else {}
        request_id = self.request.request_id if self.request else ""
        names = {
            **_NAMES,
            "#run": f"{_RUN}{request_id}",
            "#more": f"{_MORE}{request_id}",
            "#p": self.period,
            "#ps": f"spent_{self.period}",
        }
        used = set(re.findall(r"#\w+", " ".join([update, *self.conditions])))
        return {
            "Key": limits_place(self.key_id),
            "UpdateExpression": update,
            **condition,
            "ExpressionAttributeNames": {short: name for short, name in names.items() if short in used},
            "ExpressionAttributeValues": item_of(self.values),
            "ReturnValues": "ALL_NEW",
            # A refusal holds what is stored, which saves a read.
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _text(running: Running, names: tuple[str, ...]) -> str:
    """Return members as one short text, for an item may hold hundreds."""
    return json.dumps([getattr(running, name) for name in names], separators=(",", ":"))


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
