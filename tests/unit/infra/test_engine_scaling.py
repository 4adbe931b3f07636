"""The machines under the engine, how many there are, and how many tasks."""

import json
import re
from typing import Any

import pytest

from functions.scaler.scaler import STOP_S
from functions.scaler.settings import Settings

from .engines import VARIANTS, EngineTemplate, EngineVariants

FROM_ZERO = [name for name, stage in VARIANTS.items() if stage.engine and stage.engine.scales_to_zero]
ALWAYS = [name for name in VARIANTS if name not in FROM_ZERO]


def launch(engine: EngineTemplate) -> dict[str, Any]:
    return dict(engine.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"])


def group_of(engine: EngineTemplate) -> dict[str, Any]:
    return engine.one("AWS::AutoScaling::AutoScalingGroup")


def test_spot_is_the_stages_choice(variants: EngineVariants) -> None:
    policies = {name: group_of(variants[name]).get("MixedInstancesPolicy") for name in VARIANTS}
    assert {name for name, policy in policies.items() if policy} == {"spot"}
    policy = policies["spot"] or {}
    assert policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == 0


def test_a_machine_may_drain_itself_where_spot_may_take_it_back(variants: EngineVariants) -> None:
    action = "ecs:UpdateContainerInstancesState"
    may = {name for name in VARIANTS if action in json.dumps(variants[name].all("AWS::IAM::Policy"))}
    assert may == {"spot"}


@pytest.mark.parametrize(("name", "most"), [("prod", 8), ("several", 2)])
def test_where_tasks_always_run_ecs_sets_the_number_of_machines(
    variants: EngineVariants, name: str, most: int
) -> None:
    engine = variants[name]
    group = group_of(engine)
    assert (group["MinSize"], group["MaxSize"]) == ("0", str(most))
    assert "DesiredCapacity" not in group
    assert group["NewInstancesProtectedFromScaleIn"] is True
    provider = engine.one("AWS::ECS::CapacityProvider")["AutoScalingGroupProvider"]
    assert provider["ManagedScaling"] == {"Status": "ENABLED", "TargetCapacity": 100}
    assert provider["ManagedTerminationProtection"] == "ENABLED"
    assert provider["ManagedDraining"] == "ENABLED"
    assert not engine.all("AWS::Lambda::Function").keys() & {"ScalerFunction"}


@pytest.mark.parametrize("name", FROM_ZERO)
def test_from_zero_only_the_scaler_sets_the_numbers(variants: EngineVariants, name: str) -> None:
    engine = variants[name]
    group = group_of(engine)
    assert (group["MinSize"], group["MaxSize"]) == ("0", "1")
    assert "DesiredCapacity" not in group, "a deployment would set it"
    assert group.get("NewInstancesProtectedFromScaleIn", False) is False
    provider = engine.one("AWS::ECS::CapacityProvider")["AutoScalingGroupProvider"]
    assert provider["ManagedScaling"] == {"Status": "DISABLED"}
    assert provider["ManagedTerminationProtection"] == "DISABLED"
    for kind in ("AWS::ApplicationAutoScaling::ScalableTarget", "AWS::CloudWatch::Alarm"):
        assert not engine.all(kind)


def test_machines_are_locked_down(engine: EngineTemplate) -> None:
    data = launch(engine)
    assert data["InstanceType"] == engine.engine.instance_type
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["VolumeSize"] == (60 if engine.engine.warm_pool else 100)
    user_data = str(data["UserData"])
    for setting in ("AWSVPC_BLOCK_IMDS=true", "ENABLE_SPOT_INSTANCE_DRAINING=true", "CLUSTER="):
        assert f"ECS_{setting}" in user_data
    assert ("ECS_WARM_POOLS_CHECK=true" in user_data) is bool(engine.engine.warm_pool)


def test_the_machine_image_is_found_at_deployment(engine: EngineTemplate) -> None:
    assert "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended" in engine.text


def test_a_warm_pool_is_the_stages_choice(engine: EngineTemplate) -> None:
    pools = engine.all("AWS::AutoScaling::WarmPool")
    assert len(pools) == engine.engine.warm_pool


def test_a_machine_of_the_pool_is_stopped_once_it_has_the_image(variants: EngineVariants) -> None:
    pool = variants["pool"]
    (logical_id,) = pool.all("AWS::AutoScaling::WarmPool")
    warm = pool.all("AWS::AutoScaling::WarmPool")[logical_id]
    assert warm["PoolState"] == "Stopped"
    assert "InstanceReusePolicy" not in warm, "ECS does not allow it"
    hook = pool.one("AWS::AutoScaling::LifecycleHook")
    assert hook["LifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
    assert hook["DefaultResult"] == "CONTINUE"
    assert hook["HeartbeatTimeout"] >= 900
    script = json.dumps(launch(pool)["UserData"])
    assert "[scripts-user, always]" in script, "it completes the hook at the second start as well"
    assert f"HOOK={hook['LifecycleHookName']}" in script
    assert "complete-lifecycle-action" in script
    (condition,) = pool.all("AWS::CloudFormation::WaitCondition")
    assert condition in script, "the image's digest"
    made_before = pool.resources[logical_id]["DependsOn"]
    assert any("Preparing" in each for each in made_before), "else the first machine may not pull"


def test_a_machine_of_the_pool_may_pull_one_image_and_report_itself(variants: EngineVariants) -> None:
    (allowed,) = (
        policy["PolicyDocument"]["Statement"]
        for name, policy in variants["pool"].all("AWS::IAM::Policy").items()
        if "Preparing" in name
    )
    (registry,) = variants["pool"].all("AWS::ECR::Repository")
    (group,) = variants["pool"].all("AWS::AutoScaling::AutoScalingGroup")
    anywhere, pulled, completed = allowed
    assert set(anywhere["Action"]) == {
        "ecr:GetAuthorizationToken",
        "autoscaling:DescribeAutoScalingInstances",
    }
    assert f"GetAtt{registry}Arn" in json.dumps(pulled["Resource"])
    assert completed["Action"] == "autoscaling:CompleteLifecycleAction"
    assert completed["Resource"]["Fn::Join"][1][-1] == {"Ref": group}


@pytest.mark.parametrize("name", FROM_ZERO)
def test_the_scaler_may_change_one_service_one_group_and_one_item(
    variants: EngineVariants, name: str
) -> None:
    engine = variants[name]
    (group,) = engine.all("AWS::AutoScaling::AutoScalingGroup")
    (service,) = engine.all("AWS::ECS::Service")
    allowed = {
        action: each
        for each in engine.statements("ScalerRole")
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    reading = re.compile("(Describe|List|Get)")
    changed = {action for action in allowed if not reading.match(action.partition(":")[2])}
    assert changed == {
        *("ecs:UpdateService", "autoscaling:SetDesiredCapacity", "dynamodb:UpdateItem"),
        *("logs:CreateLogStream", "logs:PutLogEvents"),
    }
    assert allowed["ecs:UpdateService"]["Resource"]["Fn::Join"][1][-1] == {"Fn::GetAtt": [service, "Name"]}
    assert allowed["autoscaling:SetDesiredCapacity"]["Resource"]["Fn::Join"][1][-1] == {"Ref": group}
    keys = allowed["dynamodb:UpdateItem"]["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert keys == f"engine#{engine.engine.model.id}" or keys == [f"engine#{engine.engine.model.id}"]
    for action in ("ecs:ListTasks", "ecs:DescribeTasks"):
        assert "ecs:cluster" in json.dumps(allowed[action]["Condition"])


@pytest.mark.parametrize("name", FROM_ZERO)
def test_the_scaler_accepts_its_variables(variants: EngineVariants, name: str) -> None:
    engine = variants[name]
    function = next(
        each for each in engine.all("AWS::Lambda::Function").values() if "scaler" in str(each["Handler"])
    )
    variables = {key: str(value) for key, value in function["Environment"]["Variables"].items()}
    settings = Settings.from_environment(variables)
    wanted = engine.engine
    assert (settings.model, settings.held_streams) == (wanted.model.id, wanted.held_streams)
    assert (settings.idle_s, settings.start_s) == (60 * wanted.idle_minutes, wanted.start_s)
    assert function["Architectures"] == [engine.stage.architecture]
    assert "VpcConfig" not in function
    # A stop is over before another may begin; the event of one that died is repeated after 1 and 2 minutes.
    assert function["Timeout"] < STOP_S
    retries = engine.one("AWS::Lambda::EventInvokeConfig")
    assert retries["MaximumEventAgeInSeconds"] >= 240
    assert retries.get("MaximumRetryAttempts", 2) == 2


@pytest.mark.parametrize("name", FROM_ZERO)
def test_lines_of_the_reporter_and_events_call_the_scaler(variants: EngineVariants, name: str) -> None:
    engine = variants[name]
    (lines,) = (each for each in engine.all("AWS::Logs::LogGroup") if each.startswith("Lines"))
    subscription = engine.one("AWS::Logs::SubscriptionFilter")
    assert subscription["LogGroupName"] == {"Ref": lines}
    assert subscription["FilterPattern"] == f"{{ $.idle_s >= {60 * engine.engine.idle_minutes} }}"
    permissions: dict[str, Any] = {
        each["Principal"]: each for each in engine.all("AWS::Lambda::Permission").values()
    }
    assert set(permissions) == {"logs.amazonaws.com", "events.amazonaws.com"}
    permission = permissions["logs.amazonaws.com"]
    assert permission["SourceArn"] == {"Fn::GetAtt": [lines, "Arn"]}
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    (cluster,) = engine.all("AWS::ECS::Cluster")
    patterns = [rule["EventPattern"] for rule in engine.all("AWS::Events::Rule").values()]
    own = {"clusterArn": [{"Fn::GetAtt": [cluster, "Arn"]}]}
    assert {pattern["detail-type"][0]: pattern["detail"] for pattern in patterns} == {
        "ECS Task State Change": own | {"lastStatus": ["STOPPED"]},
        "ECS Container Instance State Change": own | {"agentConnected": [True], "status": ["ACTIVE"]},
    }
    assert all(pattern["source"] == ["aws.ecs"] for pattern in patterns)
    logged = engine.container("reporter")["LogConfiguration"]["Options"]["awslogs-group"]
    assert logged == {"Ref": lines}
    assert engine.container("engine")["LogConfiguration"]["Options"]["awslogs-group"] != logged


@pytest.mark.parametrize("name", ALWAYS)
def test_an_engine_that_always_runs_is_never_stopped(variants: EngineVariants, name: str) -> None:
    assert not variants[name].all("AWS::Logs::SubscriptionFilter")
    assert "functions.scaler" not in variants[name].text


def test_tasks_follow_the_queue(variants: EngineVariants) -> None:
    engine = variants["prod"]
    target = engine.one("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == engine.engine.tasks
    (policy,) = engine.all("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    assert policy["PolicyType"] == "TargetTrackingScaling"
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    metric = tracking["CustomizedMetricSpecification"]
    assert (metric["MetricName"], metric["Statistic"]) == ("vllm:num_requests_waiting", "Average")
    assert metric["Dimensions"] == [{"Name": "model", "Value": engine.engine.model.id}]
    assert tracking["TargetValue"] == engine.engine.waiting_target


@pytest.mark.parametrize("name", [*FROM_ZERO, "several"])
def test_one_task_at_most_follows_nothing(variants: EngineVariants, name: str) -> None:
    assert not variants[name].all("AWS::ApplicationAutoScaling::ScalingPolicy")
