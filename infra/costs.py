"""What each stage costs: `python -m infra.costs` prints the tables of docs/deploy.md, `--write` updates them.

AWS's own pages fill their tables by script, so each price was confirmed in copies of AWS's price list (test
snapshots of public tools, and texts that quote it). Check AWS's page before you rely on one.
"""

import sys
from dataclasses import replace

from infra import instances
from infra.paths import ROOT
from infra.stages import DEV, STAGES, Engine, ManagedInstances, Stage

DOCUMENT = ROOT / "docs" / "deploy.md"
BEGIN, END = "<!-- python -m infra.costs --write -->\n", "<!-- end -->\n"
# US dollars in us-east-1, on demand, read 2026-11-23. AWS counts 730 hours a month.
HOURS = 730
NAT, BALANCER, ACU = (each * HOURS for each in (0.045 + 0.005, 0.0225, 0.12))
MACHINE_HOUR = {"g6.xlarge": 0.8048}
PUBLIC_ADDRESS_HOUR = 0.005
# A disk of type gp3: GB, MiB/s above 125 and operations/s above 3000, each by the month; as in
# infra/inference/machine.py, without and with a warm pool.
DISK_GB_MONTH, DISK_MIB_S_MONTH, DISK_IOPS_MONTH = 0.08, 0.04, 0.005
DISKS = {0: (100, 500, 4000), 1: (60, 250, 3000)}
LAMBDA_GB_S, SNAPSHOT_GB_S = {"arm64": 0.0000133334, "x86_64": 0.0000166667}, 0.0000015046
# Of Lambda Managed Instances: EC2's price, by copies of AWS's price list read 2026-11-28, and Lambda's fee.
# How much of a machine steady traffic uses is AWS's default headroom, not a measurement.
INSTANCE_HOUR = {"c7g.large": 0.0725, "c7g.xlarge": 0.145, "m7g.large": 0.0816, "c7i.large": 0.08925}
MANAGED_FEE, MANAGED_USE = 0.15, 0.5
COMPLETION_S = 10
# What there is → how much of it, and US dollars for each.
Bill = dict[str, tuple[float, float]]


def idle_month(stage: Stage) -> Bill:
    """Return the bill of a month without requests; a test counts the same in the templates.

    Raises: KeyError, with the type of a machine whose price is not known.
    """
    chats = stage.has_chat_on_demand + bool(stage.engine and stage.hosted)
    memory_mb = chats * stage.memory_mb[0] + stage.memory_mb[1]
    managed = stage.managed_instances
    return {
        "NAT gateways, with their addresses": (stage.zones * (stage.egress == "nat"), NAT),
        "machines of the chat function that always run": (
            instances.machines(managed, managed.environments[0]) if managed else 0,
            managed_hour(managed) * HOURS if managed else 0,
        ),
        **_idle_engine(stage, stage.engine),
        "Aurora's minimum, ACUs": ((1 + stage.database.readers) * stage.database.capacity[0], ACU),
        "Aurora's minimum of storage, GB": (10, 0.10),
        "secrets": (3 if stage.engine else 2, 0.40),
        "snapshots of the functions, GB": (
            stage.snap_start * memory_mb / 1024,
            SNAPSHOT_GB_S * HOURS * 3600,
        ),
        "firewall": (stage.waf, 5.00),
        "rules of the firewall": (4 * stage.waf, 1.00),
        "dashboard, free among an account's first three": (1, 0.00),
        "metrics of alarms": (_alarm_metrics(stage), 0.10),
    }


def _idle_engine(stage: Stage, engine: Engine | None) -> Bill:
    least, most = engine.tasks if engine else (0, 0)
    pool = engine.warm_pool if engine else 0
    machines = least * engine.machines if engine else 0
    return {
        "GPU machines that always run": (
            machines,
            gpu_hour(engine, public=stage.egress == "ipv6") * HOURS if engine and machines else 0,
        ),
        "disk of the stopped machine": (pool, disk_month(pool)),
        "DNS zone of the engine": (bool(engine and not engine.balancer), 0.50),
        "load balancer of the engine": (bool(engine and engine.balancer), BALANCER),
        "engine's image in ECR, GB (estimate)": (12 if engine else 0, 0.10),
        "model's weights in S3, GB": (engine.model.weights_gib if engine else 0, 0.023),
        "metrics of the queue's alarms": (2 * (most > max(least, 1)), 0.10),
    }


def _alarm_metrics(stage: Stage) -> int:
    """Return how many metrics alarms read: of callers and functions, of the engine, and of new versions."""
    idle = 2 if stage.engine and stage.engine.scales_to_zero else 0
    return 16 * stage.alarms + idle + 5 * stage.canary


def million_completions(stage: Stage) -> Bill:
    """Return the bill of a million streamed completions, each as docs/deploy.md says, without the engine."""
    hosted = 0 if stage.engine else 1
    prices = stage.hosted[0].prices if stage.hosted else None
    managed = stage.managed_instances
    return {
        "API Gateway, million requests": (1, 3.50),
        "Lambda, million requests": (1, 0.20),
        "Lambda, million GB-s": (
            0 if managed else COMPLETION_S * stage.memory_mb[0] / 1024,
            LAMBDA_GB_S[stage.architecture] * 1e6,
        ),
        "hours of the chat function's machines, half used": (
            machine_hours(managed, 1e6) if managed else 0,
            managed_hour(managed) if managed else 0,
        ),
        "DynamoDB, million writes": (6, 0.625),
        "DynamoDB, million reads": (1, 0.125),
        "data to the internet, GB": (300 * 230 / 1e3, 0.09),
        "logs, GB": (2.5, 0.50),
        "traces, million": (0.05, 5.00),
        "firewall, million requests": (stage.waf, 0.60),
        "Bedrock, million tokens of prompts": (500 * hosted, prices.input if prices else 0),
        "Bedrock, million tokens of completions": (300 * hosted, prices.output if prices else 0),
    }


def gpu_hour(engine: Engine, *, public: bool = True) -> float:
    """Return what one GPU machine costs in an hour, with its disk, and its public address if it has one.

    Raises: KeyError, with the type of a machine whose price is not known.
    """
    hour = MACHINE_HOUR[engine.instance_type] + disk_month(engine.warm_pool) / HOURS
    return hour + PUBLIC_ADDRESS_HOUR * public


def managed_hour(managed: ManagedInstances) -> float:
    """Return what a machine of the first type costs in an hour, with Lambda's fee, without its disk.

    Raises: KeyError, with the type of a machine whose price is not known.
    """
    return INSTANCE_HOUR[managed.instance_types[0]] * (1 + MANAGED_FEE)


def machine_hours(managed: ManagedInstances, completions: float) -> float:
    """Return how many hours of machines so many completions take, at the use that steady traffic has."""
    each = instances.room(managed.instance_types[0], managed.memory_gib) * managed.concurrency * MANAGED_USE
    return completions * COMPLETION_S / 3600 / each


def disk_month(warm_pool: int) -> float:
    """Return what the disk of a machine costs in a month, whether it runs or is stopped."""
    gib, mib_s, iops = DISKS[warm_pool]
    faster = (mib_s - 125) * DISK_MIB_S_MONTH + (iops - 3000) * DISK_IOPS_MONTH
    return gib * DISK_GB_MONTH + faster


def total(bill: Bill) -> float:
    """Return the sum of a bill, in US dollars."""
    return sum(quantity * usd for quantity, usd in bill.values())


def with_pool() -> Stage:
    """Return `dev` with a warm pool."""
    assert DEV.engine is not None
    return replace(DEV, name="dev, warm pool", engine=replace(DEV.engine, warm_pool=1))


def report() -> str:
    """Return the tables, of all stages and of dev's engine."""
    engine = DEV.engine
    assert engine is not None
    hour, minutes = gpu_hour(engine), engine.start_s // 60 + engine.idle_minutes
    rows = [
        [f"an hour of {engine.instance_type}, with its disk and address", f"${hour:.2f}"],
        [f"one request that starts it, and no other: {minutes} minutes", f"${hour * minutes / 60:.2f}"],
    ]
    rows += [[f"a million tokens at {n}/s", f"${hour / n / 3600 * 1e6:.2f}"] for n in (20, 100, 300, 500)]
    stages = list(STAGES.values())
    with_pools = [*stages[:-1], with_pool(), stages[-1]]
    parts = {
        "A month without requests": bills({stage.name: idle_month(stage) for stage in with_pools}),
        "A million streamed completions": bills({s.name: million_completions(s) for s in stages}),
        "The engine": table(["", ""], rows),
    }
    return "\n\n".join(f"### {heading}\n\n{text}" for heading, text in parts.items())


def bills(by_name: dict[str, Bill]) -> str:
    """Return a table with a column for each bill, without the lines that all lack."""
    each = list(by_name.values())
    lines = {what: [bill[what] for bill in each] for what in each[0]}
    rows = [
        [what, *(f"${n * usd:,.2f} ({n:.3g})" if n else "–" for n, usd in line)]
        for what, line in lines.items()
        if any(n for n, _ in line)
    ]
    totals = [f"**${total(bill):,.2f}**" for bill in each]
    return table(["", *by_name], [*rows, ["**in all**", *totals]])


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def written(document: str) -> str:
    """Return the document with the tables between its marks."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{report()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    print(report()) if sys.argv[1:] != ["--write"] else DOCUMENT.write_text(written(DOCUMENT.read_text()))
