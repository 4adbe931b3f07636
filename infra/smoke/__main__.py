"""Call a deployed stage as its users do, and say what works: `python -m infra.smoke`, or `make smoke`.

Variables: STAGE, a stage in the account of your credentials; or URL, such as http://localhost:8000 of
`make run`. KEY is an API key; without one, a stage's key is made for an hour and deleted at the end.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TextIO

from infra.deploy.stacks import UNREACHABLE
from infra.smoke.checks import Checks, Places
from infra.smoke.client import Api, Failed
from infra.smoke.stage import find, temporary_key
from infra.stages import STAGES, Stage

_ROW = "  {:<8}{:<26}{:>8}  {}"
_MAKE_RUN = "the terminal of make run"


def main(environ: Mapping[str, str], out: TextIO = sys.stdout) -> int:
    """Run all steps; return the exit status."""
    name, url = environ.get("STAGE", ""), environ.get("URL", "")
    if not url and name not in STAGES:
        return _refuse(f"Expected STAGE to be one of {', '.join(STAGES)}, or URL, but got {name!r}.")
    try:
        with of_url(url, environ) if url else of_stage(STAGES[name], environ) as checks:
            print(f"Smoke test: {checks.api.url}\n", file=out, flush=True)
            failed = run(checks, out)
    except Failed as error:
        return _refuse(f"The smoke test could not run: {error}.")
    except UNREACHABLE as error:
        return _refuse(
            f"The smoke test could not run: {str(error).rstrip('.')}. Check AWS_REGION and AWS_PROFILE."
        )
    print("\nAll of it works." if not failed else f"\nFailed: {', '.join(failed)}.", file=out, flush=True)
    return 1 if failed else 0


def run(checks: Checks, out: TextIO, clock_s: Callable[[], float] = time.monotonic) -> list[str]:
    """Run each step, also after one that failed; return the titles of those that failed."""
    failed = []
    for check in checks.all():
        began_s = clock_s()
        try:
            state, seen = "ok", check.run()
        except Failed as error:
            state, seen = "failed", str(error)
        if checks.api.key:
            seen = seen.replace(checks.api.key, "sk-…")
        print(
            _ROW.format(state, check.title, f"{clock_s() - began_s:.1f} s", seen).rstrip(),
            file=out,
            flush=True,
        )
        if state == "failed":
            failed.append(check.title)
            for place in dict.fromkeys(check.look_at):
                print(f"          look at: {place}", file=out, flush=True)
    return failed


def of_url(url: str, environ: Mapping[str, str]) -> nullcontext[Checks]:
    """Return the steps for an address, such as that of `make run`."""
    api = Api(f"{url.removesuffix('/').removesuffix('/v1')}/", environ.get("KEY", ""))
    places = Places(_MAKE_RUN, _MAKE_RUN, _MAKE_RUN)
    return nullcontext(Checks(api, places, model=environ.get("MODEL") or "default"))


@contextmanager
def of_stage(stage: Stage, environ: Mapping[str, str]) -> Iterator[Checks]:
    """Give the steps for a deployed stage, with a key of their own if none is given.

    Raises: Failed; BotoCoreError, ClientError.
    """
    found = find(stage, environ)
    given = environ.get("KEY", "")
    with nullcontext(given) if given else temporary_key(f"{found.stacks.prefix}Data") as key:
        yield Checks(
            found.api("ApiUrl", key),
            Places(
                found.log("Api", f"{stage.chat_function}Log"),
                found.log("Api", "TodosFunctionLog"),
                found.log("Api", "FrontDoorAccessLog"),
            ),
            url_api=found.api("ChatUrl", key),
            url_todos=found.api("TodosUrl", key),
            on_demand=found.api("OnDemandChatUrl", key) if "OnDemandChatUrl" in found.outputs else None,
            may_start=bool(stage.engine and stage.engine.scales_to_zero and not stage.hosted),
            collects=bool(found.local_aws),
            model=environ.get("MODEL") or "default",
        )


def _refuse(text: str) -> int:
    print(text, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(os.environ))
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
