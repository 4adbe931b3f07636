"""The options that say what a key may do: those of `create` and of `update`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click

from functions.shared.keys import Key

from . import forms, options
from .options import NO_LIMIT
from .session import PROGRAM, Session

_MEMBERS = {
    "name": "name",
    "rpm": "requests_per_minute",
    "tpm": "tokens_per_minute",
    "concurrent": "concurrent",
    "expires": "expires_at",
    "on_outage": "on_outage",
    "note": "note",
    "timezone": "budget_timezone",
}
_MOST_TAGS = 20


def key_options(*, new: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options to a command: for a new key, or for a change."""
    unlimited = "Default: no limit." if new else "none: no limit."
    added = [
        click.option("--name", required=new, type=options.NAME, help="Whose key it is, for `list`."),
        click.option("--same-name", is_flag=True, help="Accept a name that another key has."),
        click.option(
            "--models",
            type=options.MODELS,
            multiple=True,
            help="The models it may use: names with commas, or one --models each; or all.",
        ),
        click.option("--any-model", is_flag=True, help="Accept models that are not deployed."),
        click.option("--rpm", type=options.LIMIT, help=f"Requests a minute. {unlimited}"),
        click.option("--tpm", type=options.LIMIT, help=f"Tokens a minute, with prompts. {unlimited}"),
        click.option("--concurrent", type=options.LIMIT, help=f"Requests at a time. {unlimited}"),
        click.option(
            "--budget",
            "--budget-tokens",
            type=options.BUDGET,
            help=f"Tokens in all, as 1M; or in each day, week or month, as 1M/month. {unlimited}",
        ),
        click.option(
            "--timezone",
            type=options.TIMEZONE,
            help=f"Where the days of its budget begin, as Europe/Berlin.{' Default: UTC.' if new else ''}",
        ),
        click.option(
            "--expires",
            type=options.EXPIRY,
            help="When it ends: 90d, 2w or 1h30m from now, or a date as 2027-01-31 (00:00 UTC); or never.",
        ),
        click.option(
            "--on-outage",
            type=click.Choice(("open", "closed")),
            help="Whether it is accepted while its limits cannot be counted."
            + (" Default: open." if new else ""),
        ),
        click.option("--note", type=options.NOTE, help="A line about it, for `show`."),
        click.option("--tag", type=options.TAG, multiple=True, help="A tag; may be repeated."),
    ]
    if not new:
        added += [click.option("--untag", type=options.TAG, multiple=True, help="A tag to remove.")]

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(added):
            command = option(command)
        return command

    return add


def is_given(given: Mapping[str, Any]) -> bool:
    """Return whether any option that changes a key was given."""
    return any(value not in (None, (), False) for value in given.values())


def altered(key: Key, given: Mapping[str, Any]) -> Key:
    """Return a key with what was given.

    Raises: UsageError, where that makes no sense for the key as it then is.
    """
    members: dict[str, Any] = {
        member: None if given[option] is NO_LIMIT else given[option]
        for option, member in _MEMBERS.items()
        if given.get(option) is not None
    }
    if given.get("models"):
        members["models"] = frozenset(model for names in given["models"] for model in names)
    if budget := given.get("budget"):
        tokens, period = (None, None) if budget is NO_LIMIT else budget
        members |= {"budget_tokens": tokens, "budget_period": period}
        if period != key.budget_period:
            members |= {"extra_tokens": 0, "extra_period": ""}
            members.setdefault("budget_timezone", key.budget_timezone if period else "UTC")
    untagged = frozenset(given.get("untag") or ())
    if missing := sorted(untagged - key.tags):
        has = f"it has {', '.join(sorted(key.tags))}" if key.tags else "it has none"
        raise click.UsageError(f"Expected --untag with a tag of the key, but got {missing[0]!r}; {has}.")
    members["tags"] = (key.tags - untagged) | frozenset(given.get("tag") or ())
    changed = replace(key, **members)
    if given.get("timezone") and not changed.budget_period:
        raise click.UsageError(
            "Expected --timezone only for a budget that begins again each day, week or month. Give one, as in"
            " --budget 1M/month."
        )
    if changed.on_outage == "closed" and not changed.limited:
        raise click.UsageError(
            "Expected --on-outage closed only for a key with a limit, for without one it is not counted."
            " Give a limit, as in --budget 1M, or --on-outage open."
        )
    if len(changed.tags) > _MOST_TAGS:
        raise click.UsageError(f"Expected at most {_MOST_TAGS} tags, but got {len(changed.tags)}.")
    return changed


def topped_up(key: Key, tokens: int, period: str) -> Key:
    """Return a key with more tokens in its budget; in one of a period, for the current one, which this is.

    Raises: ClickException.
    """
    if key.budget_tokens is None:
        raise click.ClickException(
            f"{key.id} ({key.name}) has no budget, so there is nothing to add to."
            f" To give it one: {PROGRAM} update {key.id} --budget {tokens}"
        )
    before = key.extra_tokens if period and period == key.extra_period else 0
    total = key.budget_tokens + before + tokens
    if total > forms.MOST:
        raise click.ClickException(
            f"Expected a budget of at most {forms.MOST:,} tokens in all, but it would have {total:,}."
        )
    if not period:
        return replace(key, budget_tokens=key.budget_tokens + tokens)
    return replace(key, extra_tokens=before + tokens, extra_period=period)


def check_models(session: Session, given: Mapping[str, Any]) -> list[str]:
    """Refuse models that the stack does not have; where its models are not known, return notes about them.

    Raises: ClickException.
    """
    names = {model for names in given["models"] for model in names} - {"default"}
    if not names or given["any_model"]:
        return []
    keys, known = session.store, session.location.models
    if known is not None:
        unknown = ", ".join(sorted(names - known))
        if unknown:
            raise click.ClickException(
                f"Expected models that are deployed, {', '.join(sorted(known))}, but got {unknown}."
                " Give another, or --any-model if it will be deployed."
            )
        return []
    others = {model for key in keys.all_keys() for model in key.models}
    unknown = ", ".join(sorted(names - others))
    if not unknown:
        return []
    there = f" Other keys may use {', '.join(sorted(others))}." if others else ""
    said = f"Note: it was not checked whether there is a model {unknown}, for that takes --stack, or MODELS."
    return [said + there]
