"""The engine's service: what its task may do, how it starts, stops, scales to zero and is found."""

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint import lint_file

from infra.inference import timeouts

from .engines import EngineTemplate, EngineVariants
from .test_lint import IGNORED


def value_of(command: list[Any], option: str) -> str:
    return str(command[command.index(option) + 1])


def test_no_variant_has_a_finding(variants: EngineVariants) -> None:
    assert variants.findings == ""


@pytest.mark.parametrize("name", ["group", "large"])
def test_templates_of_other_variants_are_clean(variants: EngineVariants, name: str, tmp_path: Path) -> None:
    file = tmp_path / "engine.template.json"
    file.write_text(variants[name].text)
    assert [str(match) for match in lint_file(file) if match.rule.id not in IGNORED] == []


def test_nothing_is_reachable_from_outside(engine: EngineTemplate) -> None:
    network = engine.one("AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    for balancer in engine.all("AWS::ElasticLoadBalancingV2::LoadBalancer").values():
        assert balancer["Scheme"] == "internal"
    for template in engine.all("AWS::EC2::LaunchTemplate").values():
        (interface,) = template["LaunchTemplateData"]["NetworkInterfaces"]
        assert interface["AssociatePublicIpAddress"] is False


def test_only_the_network_s_stack_has_security_groups(engine: EngineTemplate) -> None:
    assert "AWS::EC2::SecurityGroup" not in engine.text


def test_the_key_comes_from_secrets_manager_only(engine: EngineTemplate) -> None:
    container = engine.container("engine")
    assert [each["Name"] for each in container["Secrets"]] == ["VLLM_API_KEY"]
    assert "API_KEY" not in json.dumps(container["Environment"])
    assert "--api-key" not in container["Command"]
    assert "Secrets" not in engine.container("reporter")


def test_only_the_engine_has_the_gpus(engine: EngineTemplate) -> None:
    assert engine.container("engine")["ResourceRequirements"] == [
        {"Type": "GPU", "Value": str(engine.stage.engine.gpus)}
    ]
    assert "ResourceRequirements" not in engine.container("reporter")


def test_the_task_fits_its_machine(engine: EngineTemplate) -> None:
    task = engine.one("AWS::ECS::TaskDefinition")
    assert task["Memory"] == str(engine.stage.engine.memory_gib * 1024)
    assert sum(each["Memory"] for each in task["ContainerDefinitions"]) == int(task["Memory"])
    assert task["NetworkMode"] == "awsvpc"


def test_images_cannot_be_changed_from_within(engine: EngineTemplate) -> None:
    for container in engine.one("AWS::ECS::TaskDefinition")["ContainerDefinitions"]:
        assert container["ReadonlyRootFilesystem"] is True
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
    service = engine.one("AWS::ECS::Service")["NetworkConfiguration"]["AwsvpcConfiguration"]
    templates = engine.all("AWS::EC2::LaunchTemplate").values()
    groups = [
        *(each["LaunchTemplateData"]["NetworkInterfaces"][0]["Groups"] for each in templates),
        *(
            each["ManagedInstancesProvider"]["InstanceLaunchTemplate"]["NetworkConfiguration"][
                "SecurityGroups"
            ]
            for each in engine.all("AWS::ECS::CapacityProvider").values()
            if "ManagedInstancesProvider" in each
        ),
    ]
    assert len(groups) == 1
    assert "Machines" in str(groups[0])
    assert "Engine" in str(service["SecurityGroups"])
    assert "Machines" not in str(service["SecurityGroups"])


def test_a_task_cannot_read_its_machine_s_credentials(variants: EngineVariants) -> None:
    """Of Managed Instances AWS says nothing here; of an Auto Scaling group we set it."""
    for name in ("group", "large"):
        (template,) = variants[name].all("AWS::EC2::LaunchTemplate").values()
        options = template["LaunchTemplateData"]["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
        assert "ECS_AWSVPC_BLOCK_IMDS=true" in str(template["LaunchTemplateData"]["UserData"])


def test_no_shell_can_be_opened_in_the_task(engine: EngineTemplate) -> None:
    assert engine.one("AWS::ECS::Service")["EnableExecuteCommand"] is False


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
    longest_s = check["StartPeriod"] + check["Retries"] * (waits_s + check["Interval"])
    assert longest_s >= engine.stage.engine.start_s


def test_programs_in_the_task_are_python(engine: EngineTemplate) -> None:
    command = engine.container("engine")["HealthCheck"]["Command"]
    assert command[:3] == ["CMD", "python3", "-c"]
    compile(command[3], "health", "exec")
    reporter = engine.container("reporter")
    assert (reporter["EntryPoint"], reporter["Command"][0]) == (["python3"], "-c")
    compile(reporter["Command"][1], "report", "exec")


def test_the_reporter_cannot_end_the_engine(engine: EngineTemplate) -> None:
    reporter = engine.container("reporter")
    assert reporter["Essential"] is False
    assert reporter["RestartPolicy"]["Enabled"] is True
    assert engine.container("engine")["Essential"] is True


@pytest.mark.parametrize("name", ["dev", "spot", "large"])
def test_an_engine_that_scales_to_zero_starts_there_and_needs_no_second_gpu(
    variants: EngineVariants, name: str
) -> None:
    service = variants[name].one("AWS::ECS::Service")
    assert service["DesiredCount"] == 0
    deployment = service["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (0, 100)
    assert service["AvailabilityZoneRebalancing"] == "DISABLED", "it needs more than 100 percent"


@pytest.mark.parametrize("name", ["prod", "group"])
def test_a_deployment_changes_no_number_of_tasks_that_scaling_owns(
    variants: EngineVariants, name: str
) -> None:
    service = variants[name].one("AWS::ECS::Service")
    assert "DesiredCount" not in service
    deployment = service["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)


def test_a_deployment_that_fails_is_rolled_back(engine: EngineTemplate) -> None:
    deployment = engine.one("AWS::ECS::Service")["DeploymentConfiguration"]
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
    assert grace == timeouts.grace_period_s(engine.stage.engine.start_s) > engine.stage.engine.start_s


def test_the_arn_is_of_the_long_form(engine: EngineTemplate) -> None:
    (service,) = engine.all("AWS::ECS::Service")
    (cluster,) = engine.all("AWS::ECS::Cluster")
    parts = engine.service_arn["Fn::Join"][1]
    assert parts[-4:] == [":service/", {"Ref": cluster}, "/", {"Fn::GetAtt": [service, "Name"]}]


def test_the_cluster_has_container_insights(engine: EngineTemplate) -> None:
    assert engine.one("AWS::ECS::Cluster")["ClusterSettings"] == [
        {"Name": "containerInsights", "Value": "enhanced"}
    ]


def test_logs_expire(engine: EngineTemplate) -> None:
    for group in engine.all("AWS::Logs::LogGroup").values():
        assert group["RetentionInDays"] == engine.stage.log_days


def test_a_task_s_credentials_are_of_no_use_outside_the_network(engine: EngineTemplate) -> None:
    for statement in engine.statements("TaskTaskRole"):
        ((operator, keys),) = statement["Condition"].items()
        assert (operator, list(keys)) == ("StringEquals", ["aws:SourceVpc"])
        assert "Vpc" in str(keys["aws:SourceVpc"])


def test_the_task_may_read_its_model_and_nothing_else(engine: EngineTemplate) -> None:
    (bucket,) = engine.all("AWS::S3::Bucket")
    model = engine.stage.engine.model
    files = {"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, f"/models/{model.id}/{model.revision}/*"]]}
    assert [(each["Action"], each["Resource"]) for each in engine.statements("TaskTaskRole")] == [
        ("s3:ListBucket", {"Fn::GetAtt": [bucket, "Arn"]}),
        ("s3:GetObject", files),
    ]


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
