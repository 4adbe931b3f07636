"""The item of what a key has used, and the updates that reserve, list and release a request in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from .items import Item, Parameters, item_of, values_of
from .keys import Key
from .limits import MOST_RUNNING, Counts, Running

# Each by a name of its own: DynamoDB reserves some of these words.
_NAMES = {"#w": "window", "#r": "requests", "#t": "tokens", "#s": "spent", "#n": "running"}
_RUN = "run#"
# No window is stored where nothing has ever been reserved.
_LATER = "(attribute_not_exists(#w) OR #w > :window)"


def limits_place(key_id: str) -> Item:
    """Return where a key's counts are."""
    return item_of({"pk": f"id#{key_id}", "sk": "limits"})


def counts_of(item: Item | None) -> Counts | None:
    """Return the counts of an item; None where nothing is counted yet."""
    if not item:
        return None
    values = {name: value for name, value in values_of(item).items() if not name.startswith(_RUN)}
    running = {
        (request_id := name.removeprefix(_RUN)): Running(request_id, *json.loads(attribute["S"]))
        for name, attribute in item.items()
        if name.startswith(_RUN)
    }
    numbers = {name: values.get(name, 0) for name in ("window", "requests", "tokens", "spent")}
    return Counts(**numbers, running=running)


def reserve_in_window(key: Key, request: Running | None, window: int) -> Parameters:
    """Return the update that reserves in the stored window, which must be this one."""
    conditions, values = _lasting(key, request)
    conditions = ["#w = :window", *conditions]
    values |= {":window": window, ":one": 1}
    if key.requests_per_minute is not None:
        conditions += ["#r < :requests"]
        values |= {":requests": key.requests_per_minute}
    if request and key.tokens_per_minute is not None:
        conditions += ["#t <= :free"]
        values |= {":free": key.tokens_per_minute - request.tokens}
    if request is None:
        return _update(key.id, "ADD #r :one", conditions, values)
    values |= {":tokens": request.tokens, ":most": request.most, ":run": replace(request, window=window)}
    update = "SET #run = :run ADD #r :one, #t :tokens, #s :most, #n :one"
    return _update(key.id, update, conditions, values, request)


def reserve_in_new_window(key: Key, request: Running | None, window: int) -> Parameters:
    """Return the update that reserves first in a window, which must be newer than the stored one."""
    conditions, values = _lasting(key, request)
    conditions = ["(attribute_not_exists(#w) OR #w < :window)"] + [
        f"(attribute_not_exists(pk) OR {condition})" for condition in conditions
    ]
    values |= {":window": window, ":one": 1, ":tokens": request.tokens if request else 0}
    update = "SET #w = :window, #r = :one, #t = :tokens"
    if request is None:
        return _update(key.id, update, conditions, values)
    values |= {":most": request.most, ":run": replace(request, window=window)}
    return _update(key.id, f"{update}, #run = :run ADD #s :most, #n :one", conditions, values, request)


def list_again(key_id: str, request: Running) -> Parameters:
    """Return the update that lists a request as running which is not, and reserves nothing for it."""
    values = {":run": request, ":one": 1}
    return _update(key_id, "SET #run = :run ADD #n :one", ["attribute_not_exists(#run)"], values, request)


def release(key_id: str, request: Running, used: int, *, in_window: bool) -> Parameters:
    """Return the update that counts what a running request has used; its window is stored, or a later one."""
    values = {":window": request.window, ":less": -1, ":spent": used - request.most, ":run": request}
    conditions = ["#run = :run", "#w = :window" if in_window else _LATER]
    update = "REMOVE #run ADD #n :less, #s :spent"
    if in_window:
        update += ", #t :tokens"
        values |= {":tokens": used - request.tokens}
    return _update(key_id, update, conditions, values, request)


def _lasting(key: Key, request: Running | None) -> tuple[list[str], dict[str, Any]]:
    """Return the conditions that hold in any window, and their values."""
    if not request:
        return [], {}
    conditions = ["attribute_not_exists(#run)", "(attribute_not_exists(#n) OR #n < :concurrent)"]
    values = {":concurrent": key.concurrent or MOST_RUNNING}
    if key.budget_tokens is not None:
        conditions += ["#s <= :unspent"]
        values |= {":unspent": key.budget_tokens - request.most}
    return conditions, values


def _update(
    key_id: str, update: str, conditions: list[str], values: dict[str, Any], request: Running | None = None
) -> Parameters:
    condition = " AND ".join(conditions)
    names = {**_NAMES, "#run": f"{_RUN}{request.request_id}" if request else ""}
    used = set(re.findall(r"#\w+", update + condition))
    return {
        "Key": limits_place(key_id),
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {short: name for short, name in names.items() if short in used},
        "ExpressionAttributeValues": item_of(values),
        "ReturnValues": "ALL_NEW",
        # A refusal holds what is stored, which saves a read.
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
