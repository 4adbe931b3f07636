"""What a refused caller reads: one row for each limit, and the state that it is in."""

from dataclasses import replace
from typing import Any

import pytest

from functions.shared.keys import Key
from functions.shared.limits import Allowance, Kind, LimitReached
from functions.shared.refusals import Need, helps_to_shorten_reply, text_of

KEY = Key(
    id="key_1",
    digest="d",
    name="alice",
    requests_per_minute=60,
    tokens_per_minute=20_000,
    budget_tokens=1_000_000,
    concurrent=2,
    created_at=0,
)
NEED = Need(8_476, 1_024)
MONTHLY = {"budget_period": "month", "budget_timezone": "Europe/Berlin"}
DECEMBER = 1_796_079_600  # 2026-12-01 00:00 in Berlin


def refusal(
    kind: Kind, allowance: Allowance, need: Need = NEED, wait_s: float | None = None, **changes: Any
) -> str:
    reached = LimitReached(kind, allowance)
    if wait_s is not None:
        reached.retry_after_s = wait_s
    return text_of(reached, replace(KEY, **changes), need)


def test_requests() -> None:
    assert refusal("requests", Allowance(remaining_requests=0), wait_s=17.25) == (
        "This API key's limit of 60 requests a minute is reached: none is left. Try again in 17.3 s."
    )


def test_tokens() -> None:
    allowance = Allowance(remaining_tokens=3_200)
    assert refusal("tokens", allowance, wait_s=17.5) == (
        "This API key's limit of 20,000 tokens a minute is reached: the request needs up to 9,500 "
        "(8,476 for the prompt, 1,024 for the reply), and 3,200 are left. Try again in 17.5 s."
    )
    assert "needs up to 700, and 3,200 are left" in refusal("tokens", allowance, Need(700), wait_s=1)


def test_more_tokens_than_a_minute_has() -> None:
    assert refusal("too_large", Allowance(remaining_tokens=20_000), Need(25_000, 1_024)) == (
        "The request needs up to 26,024 tokens (25,000 for the prompt, 1,024 for the reply), but this "
        "API key may use 20,000 a minute: waiting does not help. Send less."
    )


def test_concurrent_requests() -> None:
    assert refusal("concurrent", Allowance()) == (
        "This API key's limit of 2 concurrent requests is reached: as many are running. Try again in 1 s."
    )
    assert "limit of 1,000 concurrent requests" in refusal("concurrent", Allowance(), concurrent=None)
    assert "limit of 1 concurrent request is" in refusal("concurrent", Allowance(), concurrent=1)


def test_throttled() -> None:
    assert refusal("throttled", Allowance()) == (
        "This API key sends more requests at once than can be counted. Try again in 1 s."
    )


NEEDED = "request needs up to 9,500 tokens (8,476 for the prompt, 1,024 for the reply)"
MORE = "The operator of this API can give it more."


@pytest.mark.parametrize(
    ("allowance", "changes", "text"),
    [
        (
            Allowance(remaining_budget=0),
            {},
            f"This API key has used up its budget of 1,000,000 tokens, and the {NEEDED}. {MORE}",
        ),
        (
            Allowance(remaining_budget=3_200),
            {},
            f"The {NEEDED}, but 3,200 are left of this API key's budget of 1,000,000 tokens. "
            f"Send less. {MORE}",
        ),
        (
            Allowance(remaining_budget=0, limit_budget=1_500_000, budget_resets_at=DECEMBER),
            MONTHLY,
            f"This API key has used up its budget of 1,500,000 tokens a month, and the {NEEDED}. "
            f"It is reset on 2026-12-01 at 00:00 (Europe/Berlin). {MORE}",
        ),
        (
            Allowance(remaining_budget=3_200, budget_resets_at=DECEMBER),
            {"budget_period": "day"},
            f"The {NEEDED}, but 3,200 are left of this API key's budget of 1,000,000 tokens a day. "
            f"It is reset on 2026-11-30 at 23:00 (UTC). Send less. {MORE}",
        ),
        (
            Allowance(remaining_budget=5_000),
            {"budget_tokens": 5_000, "tokens_per_minute": None},
            f"The {NEEDED}, but 5,000 are left of this API key's budget of 5,000 tokens. Send less. {MORE}",
        ),
        (
            Allowance(remaining_budget=5_000, budget_resets_at=DECEMBER),
            {"budget_tokens": 5_000, "budget_period": "week"},
            f"The {NEEDED}, but 5,000 are left of this API key's budget of 5,000 tokens a week. "
            f"Send less. {MORE}",
        ),
    ],
    ids=[
        "used up",
        "does not suffice",
        "of a month, with a top-up",
        "of a day",
        "smaller than the request",
        "of a week, smaller than the request: to wait for it does not help",
    ],
)
def test_a_budget(allowance: Allowance, changes: dict[str, Any], text: str) -> None:
    assert refusal("budget", allowance, **changes) == text


@pytest.mark.parametrize(
    ("wait_s", "text"), [(0.001, "0.1"), (3, "3"), (59.901, "60"), (119.999, "120"), (1234.56, "1234.6")]
)
def test_a_time_to_wait_is_never_less_than_it_has_to_be(wait_s: float, text: str) -> None:
    assert refusal("requests", Allowance(), wait_s=wait_s).endswith(f"Try again in {text} s.")


@pytest.mark.parametrize(
    ("kind", "allowance", "prompt", "helps"),
    [
        ("tokens", Allowance(remaining_tokens=3_200), 3_199, True),
        ("tokens", Allowance(remaining_tokens=3_200), 3_200, False),
        ("too_large", Allowance(remaining_tokens=0), 19_999, True),
        ("too_large", Allowance(remaining_tokens=20_000), 20_000, False),
        ("budget", Allowance(remaining_budget=10), 9, True),
        ("budget", Allowance(remaining_budget=0), 1, False),
        ("requests", Allowance(remaining_tokens=9), 1, False),
        ("concurrent", Allowance(remaining_tokens=9), 1, False),
    ],
)
def test_a_shorter_reply_is_advised_where_it_helps(
    kind: Kind, allowance: Allowance, prompt: int, helps: bool
) -> None:
    reached = LimitReached(kind, allowance)
    assert helps_to_shorten_reply(reached, KEY, Need(prompt, 1_024)) is helps
    assert not helps_to_shorten_reply(reached, KEY, Need(prompt))
