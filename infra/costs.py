"""What each stage costs: `python -m infra.costs` prints the tables of docs/deploy.md, `--write` updates them.

AWS's own pages fill their tables by script, so each price was confirmed in copies of AWS's price list (test
snapshots of public tools, and texts that quote it). Check AWS's page before you rely on one.
"""

import sys

from infra.paths import ROOT
from infra.stages import STAGES, Engine, Model, Stage

DOCUMENT = ROOT / "docs" / "deploy.md"
BEGIN, END = "<!-- python -m infra.costs --write -->\n", "<!-- end -->\n"
# US dollars in us-east-1, on demand, read 2026-11-23. AWS counts 730 hours a month.
HOURS = 730
ENDPOINT, NAT, BALANCER, ACU = (each * HOURS for each in (0.01, 0.045 + 0.005, 0.0225, 0.12))
MACHINE_HOUR = {"g6.xlarge": 0.8048}
# ECS's fee for a managed machine, a share of its price; other machines need a disk: $ by GB and month.
FEE, DISK_GB, DISK_GB_MONTH = 0.12, 100, 0.08
LAMBDA_GB_S, SNAPSHOT_GB_S = {"arm64": 0.0000133334, "x86_64": 0.0000166667}, 0.0000015046
# What there is → how much of it, and US dollars for each.
Bill = dict[str, tuple[float, float]]


def idle_month(stage: Stage) -> Bill:
    """Return the bill of a month without requests; a test counts the same in the templates."""
    nat, memory_gb = stage.zones * (stage.egress == "nat"), sum(stage.memory_mb) / 1024
    least, most = stage.engine.tasks if stage.engine else (0, 0)
    engine = stage.engine or Engine(model=Model(weights_gib=0), tasks=(0, 0))
    return {
        "interface endpoints": (0 if nat else 7, ENDPOINT),
        "NAT gateways, with their addresses": (nat, NAT),
        "GPU machines that always run": (least, gpu_hour(engine) * HOURS),
        "DNS zone of the engine": (not engine.balancer, 0.50),
        "load balancer of the engine": (engine.balancer, BALANCER),
        "engine's image in ECR, GB (estimate)": (12, 0.10),
        "model's weights in S3, GB": (engine.model.weights_gib, 0.023),
        "Aurora's minimum, ACUs": ((1 + stage.database.readers) * stage.database.capacity[0], ACU),
        "Aurora's minimum of storage, GB": (10, 0.10),
        "secrets": (3, 0.40),
        "snapshots of the functions, GB": (stage.snap_start * memory_gb, SNAPSHOT_GB_S * HOURS * 3600),
        "firewall": (stage.waf, 5.00),
        "rules of the firewall": (4 * stage.waf, 1.00),
        "dashboard": (1, 3.00),
        "metrics of alarms": (5 * engine.scales_to_zero + 16 * stage.alarms, 0.10),
        "metrics of the queue's alarms": (2 * (most > max(least, 1)), 0.10),
        "metrics of container insights (estimate)": (30 + 150 * least, 0.07),
    }


def million_completions(stage: Stage) -> Bill:
    """Return the bill of a million streamed completions, each as docs/deploy.md says, without the engine."""
    return {
        "API Gateway, million requests": (1, 3.50),
        "Lambda, million requests": (1, 0.20),
        "Lambda, million GB-s": (10 * stage.memory_mb[0] / 1024, LAMBDA_GB_S[stage.architecture] * 1e6),
        "DynamoDB, million writes": (6, 0.625),
        "DynamoDB, million reads": (1, 0.125),
        "data to the internet, GB": (300 * 230 / 1e3, 0.09),
        "logs, GB": (2.5, 0.50),
        "traces, million": (0.05, 5.00),
        "firewall, million requests": (stage.waf, 0.60),
    }


def gpu_hour(engine: Engine) -> float:
    """Return what one GPU machine costs in an hour: with ECS's fee, or with a disk."""
    machine, managed = MACHINE_HOUR[engine.instance_type], False
    return machine * (1 + FEE) if managed else machine + DISK_GB * DISK_GB_MONTH / HOURS


def report() -> str:
    """Return the tables, of all stages and of dev's engine."""
    engine = STAGES["dev"].engine
    assert engine is not None
    hour, minutes = gpu_hour(engine), engine.start_s // 60 + engine.idle_minutes
    rows = [
        [f"an hour of {engine.instance_type}, managed by ECS", f"${hour:.2f}"],
        [f"one request that starts it, and no other: {minutes} minutes", f"${hour * minutes / 60:.2f}"],
    ]
    rows += [[f"a million tokens at {n}/s", f"${hour / n / 3600 * 1e6:.2f}"] for n in (20, 100, 300, 500)]
    parts = {
        "A month without requests": bills([idle_month(stage) for stage in STAGES.values()]),
        "A million streamed completions": bills([million_completions(stage) for stage in STAGES.values()]),
        "The engine": table(["", ""], rows),
    }
    return "\n\n".join(f"### {heading}\n\n{text}" for heading, text in parts.items())


def bills(each: list[Bill]) -> str:
    """Return a table with a column for each bill, without the lines that all lack."""
    lines = {what: [bill[what] for bill in each] for what in each[0]}
    rows = [
        [what, *(f"${n * usd:,.2f} ({n:.3g})" if n else "–" for n, usd in line)]
        for what, line in lines.items()
        if any(n for n, _ in line)
    ]
    totals = [f"**${sum(quantity * usd for quantity, usd in bill.values()):,.2f}**" for bill in each]
    return table(["", *STAGES], [*rows, ["**in all**", *totals]])


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def written(document: str) -> str:
    """Return the document with the tables between its marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{report()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    print(report()) if sys.argv[1:] != ["--write"] else DOCUMENT.write_text(written(DOCUMENT.read_text()))
