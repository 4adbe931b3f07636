"""When managed instances cost less: `python -m infra.break_even`; `--write` updates docs/scale.md.

Only what differs is counted: Lambda's time, or the machines. Requests are $0.20 a million for both.
"""

import sys
import textwrap
from dataclasses import replace

from infra import costs, instances
from infra.costs import COMPLETION_S, HOURS, table
from infra.paths import ROOT
from infra.stages import PROD, ManagedInstances

DOCUMENT = ROOT / "docs" / "scale.md"
BEGIN, END = "<!-- python -m infra.break_even --write -->\n", "<!-- end of the tables -->\n"
SETTINGS = ManagedInstances()
# Of provisioned concurrency, for each GB-s on arm64 in us-east-1: to be kept ready, and to be in use. From
# public copies of AWS's price list, read 2026-11-28.
PROVISIONED_GB_S = (0.0000033334, 0.0000077778)
_MILLIONS = (0.1, 0.5, 1, 2, 5, 10, 25, 50)
_MONTH_S = HOURS * 3600


def on_demand(completions: float, memory_gb: float = 1) -> float:
    """Return what the time of so many completions costs on demand, on arm64."""
    return completions * COMPLETION_S * memory_gb * costs.LAMBDA_GB_S["arm64"]


def provisioned(completions: float, memory_gb: float = 1) -> float:
    """Return the same with provisioned concurrency for exactly as many streams as there always are."""
    return completions * COMPLETION_S * memory_gb * sum(PROVISIONED_GB_S)


def floor(environments: int) -> float:
    """Return what a month of the machines costs that so many environments need, whatever the traffic."""
    return instances.machines(SETTINGS, environments) * costs.managed_hour(SETTINGS) * HOURS


def managed(completions: float, environments: int) -> float:
    """Return what the machines of a month cost: those that always run, or those that steady traffic needs."""
    by_use = costs.machine_hours(SETTINGS, completions) * costs.managed_hour(SETTINGS)
    return max(by_use, floor(environments))


def break_even(environments: int) -> float:
    """Return from how many completions a month on managed instances cost less than on demand."""
    return floor(environments) / on_demand(1)


def carried(environments: int) -> float:
    """Return how many completions a month so many environments carry, at the use that steady traffic has."""
    streams = environments * SETTINGS.concurrency * costs.MANAGED_USE
    return streams * _MONTH_S / COMPLETION_S


def report() -> str:
    """Return the tables, and what is not in them."""
    nat, prod_gb, (ready, used) = 2 * costs.NAT, PROD.memory_mb[0] / 1024, PROVISIONED_GB_S
    cheaper = 1 - provisioned(1) / on_demand(1)
    least_used = ready / (costs.LAMBDA_GB_S["arm64"] - used)
    text = (
        f"Without an engine, the NAT gateways of two zones are ${nat:,.2f} a month besides: the break-even "
        f"is then {(floor(1) + nat) / on_demand(1e6):.2f} million with 1 environment at least, and "
        f"{(floor(3) + nat) / on_demand(1e6):.2f} million with 3. With the {PROD.memory_mb[0]:,} MB of "
        f"`prod` on demand, and 3 environments at least, it is "
        f"{floor(3) / on_demand(1e6, prod_gb):.2f} million. "
        f"Provisioned concurrency is at best {cheaper:.0%} cheaper than on demand, where all of it is always "
        f"in use, and dearer where less than {least_used:.0%} is."
    )
    return "\n\n".join((floors(), textwrap.fill(text, 120), months(), millions()))


def floors() -> str:
    """Return a table of the break-even, by the least number of environments."""
    head = ("environments at least", "a month of their machines", "break-even, completions a month")
    rows = [
        [
            str(least),
            f"${floor(least):,.2f}",
            f"{break_even(least) / 1e6:.2f} million",
            f"{break_even(least) * COMPLETION_S / _MONTH_S:.1f}",
            f"{carried(least) / 1e6:.1f} million",
        ]
        for least in (1, 2, 3, 6)
    ]
    return table([*head, "streams at any time then", "carried half full, completions a month"], rows)


def months() -> str:
    """Return a table of months by their completions."""
    head = ("completions a month", "streams at any time", "on demand, 1 GB", "provisioned, 1 GB")
    rows = [
        [
            f"{count:g} million",
            f"{count * 1e6 * COMPLETION_S / _MONTH_S:.1f}",
            f"${on_demand(count * 1e6):,.2f}",
            f"${provisioned(count * 1e6):,.2f}",
            f"${managed(count * 1e6, 1):,.2f}",
            f"${managed(count * 1e6, 3):,.2f}",
        ]
        for count in _MILLIONS
    ]
    return table([*head, "managed, at least 1", "managed, at least 3"], rows)


def millions() -> str:
    """Return a table of a million completions, by how many streams one environment carries."""
    rows = [
        [str(each.concurrency), f"${costs.machine_hours(each, 1e6) * costs.managed_hour(each):,.2f}"]
        for each in (replace(SETTINGS, concurrency=concurrency) for concurrency in (64, 32, 16, 8))
    ]
    return table(["streams of one environment", "a million completions, half full"], rows)


def written(document: str) -> str:
    """Return the document with the tables between its marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{report()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    print(report()) if sys.argv[1:] != ["--write"] else DOCUMENT.write_text(written(DOCUMENT.read_text()))
