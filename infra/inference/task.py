"""The engine's task: vLLM, and a second container that reports its metrics, from the same image."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.inference import timeouts
from infra.inference.arguments import PORT, VARIABLES, vllm_arguments
from infra.inference.ordering import Order
from infra.inference.sources import source
from infra.inference.supply import Supply
from infra.nag import acknowledge
from infra.stages import Engine, Stage

ENGINE = "engine"
_URL = f"http://127.0.0.1:{PORT}"
# The image's own files are read-only; vLLM writes below these, to a disk that ends with the task.
_HOME = "/scratch"
_WRITABLE = {"Home": _HOME, "Temporary": "/tmp"}
_MARKER = "/tmp/answered"
_REPORTER_MIB = 128
_OPEN_FILES = 65_536
_REASONS = {
    "ECS2": "The plain variables are no secrets; the key comes from Secrets Manager.",
    "IAM5[Resource::*]": "ECR's sign-in has no resources.",
}


def task(
    scope: Construct,
    construct_id: str,
    *,
    stage: Stage,
    engine: Engine,
    vpc: ec2.IVpc,
    supply: Supply,
    order: Order,
    key: secretsmanager.ISecret,
    log: logs.LogGroup,
) -> ecs.TaskDefinition:
    """Make the task definition."""
    definition = ecs.TaskDefinition(
        scope,
        construct_id,
        compatibility=ecs.Compatibility.EC2,
        network_mode=ecs.NetworkMode.AWS_VPC,
        cpu=str(engine.cpus * 1024),
        memory_mib=str(engine.memory_gib * 1024),
        volumes=[ecs.Volume(name=name) for name in _WRITABLE],
    )
    image = ecs.ContainerImage.from_registry(f"{supply.repository.repository_uri}@{order.digest}")
    _add_engine(definition, engine, image, supply.model_path, key, log)
    _add_reporter(definition, stage, engine, image, log)
    supply.repository.grant_pull(definition.obtain_execution_role())
    supply.grant_load(definition.task_role, vpc=vpc)
    definition.node.add_dependency(order.ready)
    acknowledge(definition, _REASONS | supply.reasons)
    return definition


def _add_engine(
    definition: ecs.TaskDefinition,
    engine: Engine,
    image: ecs.ContainerImage,
    model_path: str,
    key: secretsmanager.ISecret,
    log: logs.LogGroup,
) -> None:
    region = Stack.of(definition).region
    linux = ecs.LinuxParameters(
        # The processes of several GPUs communicate through shared memory.
        definition,
        "Linux",
        init_process_enabled=True,
        shared_memory_size=engine.gpus * 1024,
    )
    container = definition.add_container(
        "Engine",
        container_name=ENGINE,
        image=image,
        entry_point=["vllm", "serve"],
        command=vllm_arguments(engine, model_path=model_path),
        gpu_count=engine.gpus,
        memory_limit_mib=engine.memory_gib * 1024 - _REPORTER_MIB,
        # ECS sets a container's region on Fargate only; the reader of the weights needs both variables.
        environment={"HOME": _HOME, "AWS_REGION": region, "AWS_DEFAULT_REGION": region, **VARIABLES},
        secrets={"VLLM_API_KEY": ecs.Secret.from_secrets_manager(key)},
        health_check=health_check(engine.start_s),
        stop_timeout=Duration.seconds(timeouts.STOP_S),
        readonly_root_filesystem=True,
        linux_parameters=linux,
        port_mappings=[ecs.PortMapping(container_port=PORT)],
        logging=ecs.LogDrivers.aws_logs(stream_prefix=ENGINE, log_group=log),
    )
    container.add_ulimits(
        ecs.Ulimit(name=ecs.UlimitName.NOFILE, soft_limit=_OPEN_FILES, hard_limit=_OPEN_FILES),
        ecs.Ulimit(name=ecs.UlimitName.MEMLOCK, soft_limit=-1, hard_limit=-1),
    )
    container.add_mount_points(
        *(
            ecs.MountPoint(source_volume=name, container_path=path, read_only=False)
            for name, path in _WRITABLE.items()
        )
    )


def health_check(start_s: int) -> ecs.HealthCheck:
    """Return a check that waits for an engine that is loading, and not for one that has responded before."""
    return ecs.HealthCheck(
        command=["CMD", "python3", "-c", source("health"), f"{_URL}/health", _MARKER, str(timeouts.WAIT_S)],
        start_period=Duration.seconds(timeouts.START_PERIOD_S),
        interval=Duration.seconds(timeouts.INTERVAL_S),
        timeout=Duration.seconds(timeouts.TIMEOUT_S),
        retries=timeouts.retries(start_s),
    )


def _add_reporter(
    definition: ecs.TaskDefinition,
    stage: Stage,
    engine: Engine,
    image: ecs.ContainerImage,
    log: logs.LogGroup,
) -> None:
    """Add the container that reports the metrics. The engine runs without it, and ECS restarts it."""
    definition.add_container(
        "Reporter",
        container_name="reporter",
        image=image,
        entry_point=["python3"],
        command=["-c", source("report"), f"{_URL}/metrics", stage.namespace, engine.model.id],
        # By default the image claims all GPUs.
        environment={"NVIDIA_VISIBLE_DEVICES": "void"},
        memory_limit_mib=_REPORTER_MIB,
        essential=False,
        enable_restart_policy=True,
        readonly_root_filesystem=True,
        logging=ecs.LogDrivers.aws_logs(stream_prefix="reporter", log_group=log),
    )
