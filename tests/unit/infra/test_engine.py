"""The engine's service: what its task may do, how it starts, stops, scales to zero and is found."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra.inference import timeouts
from infra.inference.caching import cache_key
from infra.stages import Engine, Model

from .engines import EngineTemplate, EngineVariants
from .test_lint import mistakes_in


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def path_of(arn: dict[str, Any]) -> Any:
    """Return what follows the bucket in the ARN of its files."""
    return arn["Fn::Join"][1][-1]


def value_of(command: list[Any], option: str) -> str:
    return str(command[command.index(option) + 1])


def test_no_variant_has_a_finding(variants: EngineVariants) -> None:
    assert variants.findings == ""


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["spot", "pool", "large", "several"])
def test_templates_of_other_variants_are_clean(variants: EngineVariants, name: str) -> None:
    for stack, text in variants[name].texts.items():
        assert mistakes_in(text) == [], stack


def test_nothing_is_reachable_from_outside(engine: EngineTemplate) -> None:
    for service in engine.all("AWS::ECS::Service").values():
        network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert network["AssignPublicIp"] == "DISABLED"
        assert "Private" in str(network["Subnets"])
        assert "Public" not in str(network["Subnets"])
    for balancer in engine.all("AWS::ElasticLoadBalancingV2::LoadBalancer").values():
        assert balancer["Scheme"] == "internal"


def test_a_machine_has_a_public_address_only_without_nat(engine: EngineTemplate) -> None:
    (interface,) = engine.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["NetworkInterfaces"]
    subnets = str(engine.one("AWS::AutoScaling::AutoScalingGroup")["VPCZoneIdentifier"])
    public = engine.stage.egress == "ipv6"
    assert interface["AssociatePublicIpAddress"] is public
    assert ("Public" in subnets, "Private" in subnets) == (public, not public)


def test_only_the_network_s_stack_has_security_groups(engine: EngineTemplate) -> None:
    assert "AWS::EC2::SecurityGroup" not in engine.text


def test_the_key_comes_from_secrets_manager_only(engine: EngineTemplate) -> None:
    container = engine.container("engine")
    assert [each["Name"] for each in container["Secrets"]] == ["VLLM_API_KEY"]
    assert "API_KEY" not in json.dumps(container["Environment"])
    assert "--api-key" not in container["Command"]
    for name in ("reporter", "cache"):
        assert "Secrets" not in engine.container(name)


def test_only_the_engine_has_the_gpus(engine: EngineTemplate) -> None:
    assert engine.container("engine")["ResourceRequirements"] == [
        {"Type": "GPU", "Value": str(engine.engine.gpus)}
    ]
    for name in ("reporter", "cache"):
        assert "ResourceRequirements" not in engine.container(name)
        assert {"Name": "NVIDIA_VISIBLE_DEVICES", "Value": "void"} in engine.container(name)["Environment"]


def test_the_task_fits_its_machine(engine: EngineTemplate) -> None:
    task = engine.task()
    assert task["Memory"] == str(engine.engine.memory_gib * 1024)
    assert sum(each["Memory"] for each in task["ContainerDefinitions"]) == int(task["Memory"])
    assert task["NetworkMode"] == "awsvpc"


def test_only_the_engine_s_root_can_be_written(engine: EngineTemplate) -> None:
    """A GPU container with a read-only root is reported to fail; the others have no GPU."""
    for container in engine.task()["ContainerDefinitions"]:
        assert container["ReadonlyRootFilesystem"] is (container["Name"] != "engine")
        assert "Privileged" not in container
    writable = {each["ContainerPath"] for each in engine.container("engine")["MountPoints"]}
    environment = {each["Name"]: each["Value"] for each in engine.container("engine")["Environment"]}
    assert writable == {"/scratch", "/tmp"}
    assert environment["HOME"] in writable


def test_no_redirect_leads_away_from_the_hosts_of_media(engine: EngineTemplate) -> None:
    environment = {each["Name"]: each["Value"] for each in engine.container("engine")["Environment"]}
    assert environment["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert value_of(engine.container("engine")["Command"], "--allowed-media-domains") == "none.invalid"


def test_the_machines_and_the_tasks_have_groups_of_their_own(engine: EngineTemplate) -> None:
    services = engine.all("AWS::ECS::Service").values()
    (interface,) = engine.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["NetworkInterfaces"]
    assert "Machines" in str(interface["Groups"])
    for service in services:
        groups = str(service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"])
        assert "Engine" in groups
        assert "Machines" not in groups


def test_no_shell_can_be_opened_in_the_task(engine: EngineTemplate) -> None:
    assert {each["EnableExecuteCommand"] for each in engine.all("AWS::ECS::Service").values()} == {False}


def test_ecs_waits_longer_for_the_end_than_vllm_does(engine: EngineTemplate) -> None:
    container = engine.container("engine")
    assert int(value_of(container["Command"], "--shutdown-timeout")) + 10 < container["StopTimeout"] <= 120


def test_a_loading_engine_is_not_replaced(engine: EngineTemplate) -> None:
    check = engine.container("engine")["HealthCheck"]
    assert check["StartPeriod"] <= 300, "the most that ECS takes"
    assert check["Timeout"] <= 60, "the most that ECS takes"
    assert check["Retries"] <= 10, "the most that ECS takes"
    waits_s = int(check["Command"][-1])
    assert waits_s < check["Timeout"]
    if waits_s >= 0:  # else it counts as healthy until it has responded
        longest_s = check["StartPeriod"] + check["Retries"] * (waits_s + check["Interval"])
        assert longest_s >= engine.engine.start_s
    assert (waits_s < 0) is (engine.engine.machines > 1)


def test_programs_in_the_task_are_python(engine: EngineTemplate) -> None:
    command = engine.container("engine")["HealthCheck"]["Command"]
    assert command[:3] == ["CMD", "python3", "-c"]
    compile(command[3], "health", "exec")
    for name in ("reporter", "cache"):
        container = engine.container(name)
        assert (container["EntryPoint"], container["Command"][0]) == (["python3"], "-c")
        compile(container["Command"][1], name, "exec")
    starting = engine.container("engine")["EntryPoint"]
    assert (starting[:2], starting[3], starting[-2:]) == (["python3", "-c"], "restore", ["vllm", "serve"])
    compile(starting[2], "cache", "exec")


def test_what_is_beside_the_engine_cannot_end_it(engine: EngineTemplate) -> None:
    assert engine.container("reporter")["RestartPolicy"]["Enabled"] is True
    assert "RestartPolicy" not in engine.container("cache"), "it ends when it has stored the cache"
    assert {engine.container(name)["Essential"] for name in ("reporter", "cache")} == {False}
    assert engine.container("engine")["Essential"] is True


@pytest.mark.parametrize("name", ["dev", "spot", "pool", "large"])
def test_an_engine_that_scales_to_zero_starts_there_and_needs_no_second_gpu(
    variants: EngineVariants, name: str
) -> None:
    service = variants[name].one("AWS::ECS::Service")
    assert service["DesiredCount"] == 0
    deployment = service["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (0, 100)
    assert service["AvailabilityZoneRebalancing"] == "DISABLED", "it needs more than 100 percent"


def test_a_deployment_changes_no_number_of_tasks_that_scaling_owns(variants: EngineVariants) -> None:
    service = variants["prod"].one("AWS::ECS::Service")
    assert "DesiredCount" not in service
    deployment = service["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)


def test_a_number_of_tasks_that_nothing_changes_is_the_deployment_s(variants: EngineVariants) -> None:
    """Without it, an engine that scaled to zero before would have none for ever."""
    for service in variants["several"].all("AWS::ECS::Service").values():
        assert service["DesiredCount"] == 1


def test_a_deployment_that_fails_is_rolled_back(engine: EngineTemplate) -> None:
    for service in engine.all("AWS::ECS::Service").values():
        deployment = service["DeploymentConfiguration"]
        assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


@pytest.mark.parametrize("name", ["dev", "large"])
def test_without_a_balancer_a_private_name_leads_to_the_tasks(variants: EngineVariants, name: str) -> None:
    engine = variants[name]
    assert engine.base_url == f'"http://engine.chatbot-{name}.internal:8000/v1"'
    assert engine.one("AWS::ServiceDiscovery::PrivateDnsNamespace")["Name"] == f"chatbot-{name}.internal"
    records = engine.one("AWS::ServiceDiscovery::Service")
    assert records["Name"] == "engine"
    assert records["DnsConfig"]["DnsRecords"] == [{"TTL": 10, "Type": "A"}]
    service = engine.one("AWS::ECS::Service")
    assert len(service["ServiceRegistries"]) == 1
    assert "HealthCheckGracePeriodSeconds" not in service, "ECS refuses it without a balancer"


def test_that_there_is_no_engine_is_not_cached_for_long(variants: EngineVariants) -> None:
    namespace = variants["dev"].one("AWS::ServiceDiscovery::PrivateDnsNamespace")
    assert namespace["Properties"] == {"DnsProperties": {"SOA": {"TTL": 10}}}


def test_a_load_balancer_waits_for_long_replies(variants: EngineVariants) -> None:
    engine = variants["prod"]
    assert "AWS::ServiceDiscovery" not in engine.text
    balancer = engine.one("AWS::ElasticLoadBalancingV2::LoadBalancer")
    attributes = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}
    assert attributes["idle_timeout.timeout_seconds"] == "900"
    targets = engine.one("AWS::ElasticLoadBalancingV2::TargetGroup")
    attributes = {each["Key"]: each["Value"] for each in targets["TargetGroupAttributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "900", "as long as a stream"
    assert attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"
    assert (targets["HealthCheckPath"], targets["TargetType"]) == ("/health", "ip")
    grace = engine.one("AWS::ECS::Service")["HealthCheckGracePeriodSeconds"]
    assert grace == timeouts.grace_period_s(engine.engine.start_s) > engine.engine.start_s


def test_the_cluster_writes_no_metrics_that_cost(engine: EngineTemplate) -> None:
    settings = engine.one("AWS::ECS::Cluster")["ClusterSettings"]
    assert settings == [{"Name": "containerInsights", "Value": "disabled"}]


def test_logs_expire(engine: EngineTemplate) -> None:
    for group in engine.all("AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] == engine.stage.log_days


def test_a_task_s_credentials_are_of_no_use_outside_the_network(engine: EngineTemplate) -> None:
    for statement in engine.statements("TaskTaskRole"):
        ((operator, keys),) = statement["Condition"].items()
        assert (operator, list(keys)) == ("StringEquals", ["aws:SourceVpc"])
        assert "Vpc" in str(keys["aws:SourceVpc"])


def test_the_task_may_read_its_model_and_write_its_cache_and_nothing_else(engine: EngineTemplate) -> None:
    """The cache is one object, whose name has all that it was compiled for."""
    model = engine.engine.model
    (bucket,) = engine.all("AWS::S3::Bucket")
    for rank in range(engine.engine.machines):
        *_, key, _folder, _vllm, _serve = engine.container("engine", rank)["EntryPoint"]
        assert key.startswith(f"cache/{model.id}/{model.revision}/")
        allowed = engine.statements(f"Task{rank or ''}TaskRole")
        assert [each["Action"] for each in allowed] == ["s3:ListBucket", "s3:GetObject", "s3:PutObject"]
        assert [json.dumps(each["Resource"]).count(f"{bucket}Arn") for each in allowed] == [1, 2, 1]
        read, written = ({path_of(each) for each in as_list(allowed[n]["Resource"])} for n in (1, 2))
        assert read == {f"/models/{model.id}/{model.revision}/*", f"/{key}"}
        assert written == {f"/{key}"}


def test_a_cache_is_for_one_image_model_command_line_and_machine() -> None:
    engine, arguments = Engine(), ["--port", "8000"]
    keys = {
        cache_key(each, given)
        for each, given in (
            (engine, arguments),
            (engine, [*arguments, "--headless"]),
            (replace(engine, image="vllm/vllm-openai:v0.33.0"), arguments),
            (replace(engine, instance_type="g6e.xlarge"), arguments),
            (replace(engine, model=Model(revision="v2")), arguments),
        )
    }
    assert len(keys) == 5
    assert cache_key(replace(engine, held_streams=1), arguments) in keys


def test_machines_of_one_engine_start_together(variants: EngineVariants) -> None:
    several = variants["several"]
    services = several.all("AWS::ECS::Service").values()
    assert len(services) == several.engine.machines == 2
    assert [len(each["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"]) for each in services] == [
        1,
        1,
    ]
    assert sum("ServiceRegistries" in each for each in services) == 1, "the head alone has the name"
    group = several.one("AWS::AutoScaling::AutoScalingGroup")
    assert (group["MaxSize"], len(group["VPCZoneIdentifier"])) == ("2", 1)
    (near,) = several.all("AWS::EC2::PlacementGroup")
    assert several.all("AWS::EC2::PlacementGroup")[near]["Strategy"] == "cluster"
    assert near in json.dumps(group["PlacementGroup"])
    for rank in range(2):
        command = several.container("engine", rank)["Command"]
        assert value_of(command, "--node-rank") == str(rank)
        assert value_of(command, "--master-addr") == "engine.chatbot-several.internal"
    assert [each["Name"] for each in several.task(1)["ContainerDefinitions"]] == ["engine", "cache"]
    check = several.container("engine", 1)["HealthCheck"]["Command"]
    assert check[4] == "http://engine.chatbot-several.internal:8000/health", "without the head it is replaced"


def test_ecs_may_pull_log_and_read_the_key_for_the_task(engine: EngineTemplate) -> None:
    wild = [each for each in engine.statements("TaskExecutionRole") if each["Resource"] == "*"]
    assert [each["Action"] for each in wild] == ["ecr:GetAuthorizationToken"]
    actions = {
        action
        for each in engine.statements("TaskExecutionRole")
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    assert {action.partition(":")[0] for action in actions} == {"ecr", "logs", "secretsmanager"}
    assert not any("Put" in action and action != "logs:PutLogEvents" for action in actions)
