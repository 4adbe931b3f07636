"""The dashboard shows what is measured, and each alarm leads to its line of the runbook."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from functions.shared.metrics import Metrics
from functions.shared.usage import OUTCOMES, UsageRecord
from infra.inference.programs import report
from infra.stages import PROD, Engine
from infra.watch import alarms
from infra.watch.alarm_rule import RUNBOOK
from infra.watch.topic import AlarmTopic

from .templates import ROOT, Deployment, Json
from .test_documents import anchor_of

ALARM, DASHBOARD = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"
# A metric's name, and its dimensions in order.
Measured = tuple[str, tuple[tuple[str, str], ...]]


def board(deployment: Deployment) -> Json:
    """Return the dashboard's body; a reference is a text that none of our names can be."""
    body = deployment.one(DASHBOARD, "Watch").properties["DashboardBody"]
    parts = body["Fn::Join"][1]
    found: Json = json.loads("".join(part if isinstance(part, str) else "<AWS>" for part in parts))
    return found


def shown(deployment: Deployment) -> Iterator[tuple[str, Measured]]:
    """Yield the metrics of the dashboard, with their namespaces."""
    for widget in board(deployment)["widgets"]:
        for namespace, *rest in widget["properties"].get("metrics", []):
            if isinstance(namespace, dict):  # an expression; its metrics are entries of their own
                continue
            name, *texts = [each for each in rest if isinstance(each, str)]
            yield namespace, (name, tuple(zip(texts[::2], texts[1::2], strict=True)))


def watched(deployment: Deployment) -> Iterator[tuple[str, Measured]]:
    """Yield the metrics of the alarms, with their namespaces."""
    for alarm in deployment.all(ALARM, "Watch"):
        stats = [
            each["MetricStat"]["Metric"]
            for each in alarm.properties.get("Metrics", [])
            if "MetricStat" in each
        ]
        for metric in stats or [alarm.properties]:
            dimensions = [(each["Name"], str(each["Value"])) for each in metric.get("Dimensions", [])]
            yield metric["Namespace"], (metric["MetricName"], tuple(dimensions))


def written(namespace: str, model: str) -> set[Measured]:
    """Return what our own code writes: chat function, one that starts an engine, the engine's task."""
    lines: list[str] = []
    metrics = Metrics(namespace, lines.append)
    metrics.write_start(model, 0)
    metrics.write_fallback(model, 0)
    for outcome in OUTCOMES:
        for name in (model, "-"):
            record = UsageRecord(
                request_id="r", model=name, outcome=outcome, duration_ms=1, first_byte_ms=1, started_at=1
            )
            metrics.write_request(record, engine_ms=1)
    seen = [dict.fromkeys((*report.GAUGES, *report.COUNTERS), 1.0)]
    lines.append(report.line(seen, {}, namespace=namespace, model=model, now_ms=1, idle_s=0))
    return {measured for line in lines for measured in _metrics(json.loads(line), namespace)}


def _metrics(line: Json, namespace: str) -> Iterator[Measured]:
    for directive in line["_aws"]["CloudWatchMetrics"]:
        assert directive["Namespace"] == namespace
        for dimensions in directive["Dimensions"]:
            values = tuple((name, line[name]) for name in dimensions)
            yield from ((metric["Name"], values) for metric in directive["Metrics"])


# ── what is measured


def test_every_graph_of_ours_shows_what_is_written(deployment: Deployment) -> None:
    own, model = deployment.stage.namespace, deployment.stage.listed_models[0].id
    ours = {measured for namespace, measured in shown(deployment) if namespace == own}
    assert len(ours) > 8
    assert ours <= written(own, model)


def test_no_alarm_waits_for_what_is_never_written(prod: Deployment) -> None:
    own, model = prod.stage.namespace, prod.stage.listed_models[0].id
    ours = {measured for namespace, measured in watched(prod) if namespace == own}
    assert ours
    assert ours <= written(own, model)


def test_everything_else_is_measured_by_aws(deployment: Deployment) -> None:
    namespaces = {namespace for namespace, _ in [*shown(deployment), *watched(deployment)]}
    assert namespaces == {
        deployment.stage.namespace,
        "AWS/ApiGateway",
        "AWS/DynamoDB",
        "AWS/Lambda",
        "AWS/RDS",
        *(("AWS/AutoScaling", "AWS/ECS") if deployment.stage.engine else ()),
    }


def test_every_outcome_is_shown(deployment: Deployment) -> None:
    dimensions = {
        dict(dimensions).get("outcome") for _, (name, dimensions) in shown(deployment) if name == "requests"
    }
    assert dimensions == set(OUTCOMES)


def test_machines_have_the_metrics_that_the_dashboard_shows(deployment: Deployment) -> None:
    names = {name for namespace, (name, _) in shown(deployment) if namespace == "AWS/AutoScaling"}
    groups = deployment.all("AWS::AutoScaling::AutoScalingGroup")
    assert names == ({"GroupInServiceInstances"} if groups else set())
    for group in groups:
        (collected,) = group.properties["MetricsCollection"]
        assert collected == {"Granularity": "1Minute", "Metrics": ["GroupInServiceInstances"]}


# ── the dashboard


def test_every_graph_says_its_unit(deployment: Deployment) -> None:
    titles = [w["properties"]["title"] for w in board(deployment)["widgets"] if w["type"] != "text"]
    assert len(titles) == len(set(titles)) + 3, "only a function's three graphs are there twice"
    assert [title for title in titles if not re.search(r"\S \(\S[^()]*\)$", title)] == []


def test_rows_have_headings_and_nothing_overlaps(deployment: Deployment) -> None:
    widgets = board(deployment)["widgets"]
    headings = [w["properties"]["markdown"].splitlines()[0] for w in widgets if w["type"] == "text"]
    engine = ["## Engine"] if deployment.stage.engine else []
    assert headings == ["## Traffic", "## Chat function", *engine, "## Todos", "## What drives the bill"]
    cells = [cell for widget in widgets for cell in _cells(widget)]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23


def test_the_dashboard_s_address_is_an_output(deployment: Deployment) -> None:
    address = deployment.outputs("Watch")["Dashboard"]["Value"]["Fn::Join"][1]
    assert address[-2:] == ["#dashboards/dashboard/", {"Ref": deployment.one(DASHBOARD, "Watch").id}]


def _cells(widget: Json) -> Iterator[tuple[int, int]]:
    for x in range(widget["x"], widget["x"] + widget["width"]):
        yield from ((x, y) for y in range(widget["y"], widget["y"] + widget["height"]))


# ── alarms


def test_a_stage_has_alarms_only_if_it_says_so(dev: Deployment, prod: Deployment) -> None:
    (idle,) = dev.all(ALARM, "Watch")
    assert idle.id.startswith("IdleEngine")
    assert len(prod.all(ALARM, "Watch")) == 11


def test_an_engine_that_fails_to_stop_is_noticed_without_its_own_reports(dev: Deployment) -> None:
    (idle,) = dev.all(ALARM, "Watch")
    metrics = [each["MetricStat"]["Metric"] for each in idle.properties["Metrics"] if "MetricStat" in each]
    assert {each["MetricName"] for each in metrics} == {"requests", "GroupInServiceInstances"}
    assert (idle.properties["EvaluationPeriods"], idle.properties["Threshold"]) == (3, 0)
    assert {each["MetricStat"]["Period"] for each in idle.properties["Metrics"] if "MetricStat" in each} == {
        3600
    }


def test_each_alarm_has_its_part_of_the_runbook(dev: Deployment, prod: Deployment) -> None:
    runbook = (ROOT / RUNBOOK).read_text().partition("## Alarms\n")[2].partition("\n## ")[0]
    headings = set(re.findall(r"^### (.+)$", runbook, re.MULTILINE))
    texts = [alarm.properties["AlarmDescription"] for alarm in prod.all(ALARM, "Watch")]
    texts += [alarm.properties["AlarmDescription"] for alarm in dev.all(ALARM, "Watch")]
    named = {text.rpartition(f" {RUNBOOK}#")[2] for text in texts}
    assert named == {anchor_of(heading) for heading in headings}


def test_each_part_of_the_runbook_says_what_to_do() -> None:
    runbook = (ROOT / RUNBOOK).read_text().partition("## Alarms\n")[2].partition("\n## ")[0]
    for part in runbook.split("\n### ")[1:]:
        for word in ("**Means**", "**First**", "**Remedy**"):
            assert word in part, f"{word} of {part.splitlines()[0]}"


def test_missing_data_is_no_fault(prod: Deployment) -> None:
    treatments = {alarm.properties["TreatMissingData"] for alarm in prod.all(ALARM, "Watch")}
    assert treatments == {"notBreaching"}


def test_a_sum_has_a_value_where_one_metric_was_never_written(prod: Deployment) -> None:
    """A metric that was never written has no series, and `a + b` has none without both."""
    metrics = [each for alarm in prod.all(ALARM, "Watch") for each in alarm.properties.get("Metrics", [])]
    expressions = [each["Expression"] for each in metrics if "Expression" in each]
    assert len(expressions) >= 4
    assert [text for text in expressions if " + " in text] == []


def test_an_engine_that_scales_to_zero_has_time_to_start() -> None:
    def periods(engine: Engine) -> int:
        rules = alarms.of_inference(PROD, engine)
        (rule,) = [rule for rule in rules if rule.id == "NoEngine"]
        return rule.periods

    always = Engine(tasks=(1, 4), start_s=420)
    assert periods(always) == 2
    assert periods(replace(always, tasks=(0, 1))) == 4


# ── where alarms go


def test_no_mail_is_sent_without_an_address(deployment: Deployment) -> None:
    assert deployment.all("AWS::SNS::Subscription") == []
    (topic,) = deployment.all("AWS::SNS::Topic")
    for alarm in deployment.all(ALARM, "Watch"):
        assert alarm.properties["AlarmActions"] == [{"Ref": topic.id}]


def test_a_topic_writes_to_the_address(tmp_path: Path) -> None:
    stack = Stack(App(outdir=str(tmp_path)), "Topic")
    AlarmTopic(stack, "Topic", email="me@example.com")
    Template.from_stack(stack).has_resource_properties(
        "AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "me@example.com"}
    )


def test_cloudwatch_and_budgets_of_this_account_may_write_to_the_topic(dev: Deployment) -> None:
    (policy,) = dev.all("AWS::SNS::TopicPolicy")
    statements = policy.properties["PolicyDocument"]["Statement"]
    allowed = [each for each in statements if each["Effect"] == "Allow"]
    services = {service for each in allowed for service in _listed(each["Principal"]["Service"])}
    assert services == {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert {each["Action"] for each in allowed} == {"sns:Publish"}
    assert all("aws:SourceAccount" in each["Condition"]["StringEquals"] for each in allowed)
    denied = [each for each in statements if each["Effect"] == "Deny"]
    assert [each["Condition"] for each in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_every_stage_has_a_budget_that_writes_to_the_topic(deployment: Deployment) -> None:
    budget = deployment.one("AWS::Budgets::Budget", "Watch").properties
    (topic,) = deployment.all("AWS::SNS::Topic")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": deployment.stage.budget, "Unit": "USD"}
    kinds = {}
    for each in budget["NotificationsWithSubscribers"]:
        assert each["Subscribers"] == [{"SubscriptionType": "SNS", "Address": {"Ref": topic.id}}]
        kinds[each["Notification"]["NotificationType"]] = each["Notification"]["Threshold"]
    assert kinds == {"ACTUAL": 80, "FORECASTED": 100}


# ── canary


def test_a_new_version_is_rolled_back_by_alarms(prod: Deployment) -> None:
    groups = prod.all("AWS::CodeDeploy::DeploymentGroup")
    assert len(groups) == 2
    for group in groups:
        assert group.properties["DeploymentConfigName"] == "CodeDeployDefault.LambdaCanary10Percent5Minutes"
        assert "DEPLOYMENT_STOP_ON_ALARM" in group.properties["AutoRollbackConfiguration"]["Events"]
        assert group.properties["AlarmConfiguration"]["Enabled"]
    aliases = prod.all("AWS::Lambda::Alias", "Api")
    assert len(aliases) == 2
    for alias in aliases:
        assert "CodeDeployLambdaAliasUpdate" in alias.entry["UpdatePolicy"]


def test_only_prod_has_a_canary(dev: Deployment) -> None:
    assert dev.all("AWS::CodeDeploy::DeploymentGroup") == []
