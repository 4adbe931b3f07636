"""The machines under the engine, and how many tasks there are."""

from typing import Any

import pytest

from .engines import VARIANTS, EngineTemplate, EngineVariants

SCALED_TO_ZERO = [name for name, stage in VARIANTS.items() if stage.engine.tasks[0] == 0]


def launch(engine: EngineTemplate) -> dict[str, Any]:
    provider = engine.one("AWS::ECS::CapacityProvider")["ManagedInstancesProvider"]
    return dict(provider["InstanceLaunchTemplate"])


@pytest.mark.parametrize("name", ["dev", "prod", "spot"])
def test_managed_machines_have_the_gpus_of_the_stage(variants: EngineVariants, name: str) -> None:
    engine = variants[name].stage.engine
    template = launch(variants[name])
    wanted = template["InstanceRequirements"]
    assert wanted["AcceleratorTypes"] == ["gpu"]
    assert wanted["AcceleratorManufacturers"] == ["nvidia"]
    assert wanted["AcceleratorCount"] == {"Min": engine.gpus, "Max": engine.gpus}
    assert wanted["AcceleratorTotalMemoryMiB"] == {"Min": engine.gpus * engine.gpu_memory_gib * 1024}
    assert wanted["VCpuCount"]["Min"] >= engine.cpus
    assert wanted["MemoryMiB"]["Min"] > engine.memory_gib * 1024
    assert wanted["CpuManufacturers"] == ["intel", "amd"], "the image is for x86_64"
    assert template["LocalStorageConfiguration"] == {"UseLocalStorage": True}
    assert wanted["LocalStorage"] == "required"


def test_spot_is_the_stages_choice(variants: EngineVariants) -> None:
    assert launch(variants["dev"])["CapacityOptionType"] == "ON_DEMAND"
    assert launch(variants["spot"])["CapacityOptionType"] == "SPOT"
    shares = {
        name: variants[name].one("AWS::AutoScaling::AutoScalingGroup")["MixedInstancesPolicy"][
            "InstancesDistribution"
        ]["OnDemandPercentageAboveBaseCapacity"]
        for name in ("group", "large")
    }
    assert shares == {"group": 100, "large": 0}


def test_the_role_of_managed_machines_has_the_name_that_ecs_may_pass_on(variants: EngineVariants) -> None:
    roles = variants["dev"].all("AWS::IAM::Role")
    (machine,) = (role for role in roles.values() if "ec2.amazonaws.com" in str(role))
    assert machine["RoleName"].startswith("ecsInstanceRole")


@pytest.mark.parametrize(("name", "most"), [("group", 8), ("large", 3)])
def test_a_group_of_our_own_has_no_machine_without_tasks(
    variants: EngineVariants, name: str, most: int
) -> None:
    engine = variants[name]
    group = engine.one("AWS::AutoScaling::AutoScalingGroup")
    assert (group["MinSize"], group["MaxSize"]) == ("0", str(most))
    assert "DesiredCapacity" not in group
    provider = engine.one("AWS::ECS::CapacityProvider")["AutoScalingGroupProvider"]
    assert provider["ManagedScaling"] == {"Status": "ENABLED", "TargetCapacity": 100}
    assert provider["ManagedTerminationProtection"] == "ENABLED"
    assert group["NewInstancesProtectedFromScaleIn"] is True
    assert provider["ManagedDraining"] == "ENABLED"


def test_machines_of_our_own_are_locked_down(variants: EngineVariants) -> None:
    data = variants["large"].one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    assert data["InstanceType"] == "g6.12xlarge"
    assert data["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["VolumeSize"] >= 100
    user_data = str(data["UserData"])
    assert "ECS_AWSVPC_BLOCK_IMDS=true" in user_data
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in user_data
    assert "ECS_CLUSTER=" in user_data


def test_the_machine_image_is_found_at_deployment(variants: EngineVariants) -> None:
    assert "/aws/service/ecs/optimized-ami/amazon-linux-2023/gpu/recommended" in variants["group"].text


@pytest.mark.parametrize("name", VARIANTS)
def test_tasks_stay_within_the_stages_bounds(variants: EngineVariants, name: str) -> None:
    engine = variants[name]
    target = engine.one("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == engine.stage.engine.tasks


@pytest.mark.parametrize("name", SCALED_TO_ZERO)
def test_an_engine_without_requests_is_stopped(variants: EngineVariants, name: str) -> None:
    engine = variants[name]
    alarm = engine.one("AWS::CloudWatch::Alarm")
    policies = engine.all("AWS::ApplicationAutoScaling::ScalingPolicy")
    (policy,) = alarm["AlarmActions"]
    sleep = policies[policy["Ref"]]["StepScalingPolicyConfiguration"]
    assert sleep["AdjustmentType"] == "ExactCapacity"
    assert sleep["StepAdjustments"] == [{"MetricIntervalUpperBound": 0, "ScalingAdjustment": 0}]
    assert alarm["EvaluationPeriods"] == engine.stage.engine.quiet_minutes
    assert alarm["TreatMissingData"] == "breaching", "a GPU without metrics is stopped"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)


def test_what_counts_as_activity(variants: EngineVariants) -> None:
    metrics = variants["dev"].one("AWS::CloudWatch::Alarm")["Metrics"]
    (returned,) = (each for each in metrics if each["ReturnData"])
    watched = {
        each["Id"]: (
            each["MetricStat"]["Metric"]["Namespace"],
            each["MetricStat"]["Metric"]["MetricName"],
            each["MetricStat"]["Stat"],
            each["MetricStat"]["Period"],
        )
        for each in metrics
        if "MetricStat" in each
    }
    assert watched == {
        "wakes": ("ChatbotApi/dev", "wakes", "Sum", 60),
        "requests": ("ChatbotApi/dev", "requests", "Sum", 60),
        "running": ("ChatbotApi/dev", "vllm:num_requests_running", "Maximum", 60),
        "waiting": ("ChatbotApi/dev", "vllm:num_requests_waiting", "Maximum", 60),
        "desired": ("ECS/ContainerInsights", "DesiredTaskCount", "Maximum", 60),
    }
    expressions = {each["Id"]: each["Expression"] for each in metrics if "Expression" in each}
    assert expressions.pop("stopped") == "FILL(desired, 1) < 1"
    filled = "FILL(wakes, 0), FILL(requests, 0), FILL(running, 0), FILL(waiting, 0)"
    assert expressions == {returned["Id"]: f"SUM([{filled}, stopped])"}


@pytest.mark.parametrize("name", ["prod", "group"])
def test_an_engine_that_always_runs_is_never_stopped(variants: EngineVariants, name: str) -> None:
    assert not variants[name].all("AWS::CloudWatch::Alarm")


@pytest.mark.parametrize(("name", "only_out"), [("prod", False), ("group", False), ("large", True)])
def test_tasks_follow_the_queue(variants: EngineVariants, name: str, only_out: bool) -> None:
    engine = variants[name]
    (tracking,) = (
        policy["TargetTrackingScalingPolicyConfiguration"]
        for policy in engine.all("AWS::ApplicationAutoScaling::ScalingPolicy").values()
        if policy["PolicyType"] == "TargetTrackingScaling"
    )
    metric = tracking["CustomizedMetricSpecification"]
    assert (metric["MetricName"], metric["Statistic"]) == ("vllm:num_requests_waiting", "Average")
    assert metric["Dimensions"] == [{"Name": "model", "Value": engine.stage.engine.model.id}]
    assert tracking["TargetValue"] == engine.stage.engine.waiting_target
    assert tracking.get("DisableScaleIn", False) is only_out


def test_one_task_at_most_follows_nothing(variants: EngineVariants) -> None:
    policies = variants["dev"].all("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    assert [policy["PolicyType"] for policy in policies] == ["StepScaling"]
