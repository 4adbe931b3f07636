"""The engine's task: vLLM, and from the same image what reports its metrics and stores its cache."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Duration, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.inference import caching, timeouts
from infra.inference.arguments import ONLY, PORT, Place, variables, vllm_arguments
from infra.inference.ordering import Order
from infra.inference.sources import source
from infra.inference.supply import Supply
from infra.nag import acknowledge
from infra.stages import Engine, Stage

ENGINE = "engine"
_URL = f"http://127.0.0.1:{PORT}"
# vLLM writes below these, to a disk that ends with the task.
_HOME = "/scratch"
_WRITABLE = {"Home": _HOME, "Temporary": "/tmp"}
_MARKER = "/tmp/answered"
_REPORTER_MIB = 128
_CACHE_MIB = 256
_OPEN_FILES = 65_536
_REASONS = {
    "ECS2": "The plain variables are no secrets; the key comes from Secrets Manager.",
    "IAM5[Resource::*]": "ECR's sign-in has no resources.",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a task is made of.

    Shape:  `log` is vLLM's, `lines` the reporter's. `place`: which of an engine's several machines it is for.
    """

    stage: Stage
    engine: Engine
    vpc: ec2.IVpc
    supply: Supply
    order: Order
    key: secretsmanager.ISecret
    log: logs.LogGroup
    lines: logs.LogGroup
    place: Place = ONLY

    def define(self, scope: Construct, construct_id: str) -> ecs.TaskDefinition:
        """Make the task definition."""
        engine = self.engine
        definition = ecs.TaskDefinition(
            scope,
            construct_id,
            compatibility=ecs.Compatibility.EC2,
            network_mode=ecs.NetworkMode.AWS_VPC,
            cpu=str(engine.cpus * 1024),
            memory_mib=str(engine.memory_gib * 1024),
            volumes=[ecs.Volume(name=name) for name in _WRITABLE],
        )
        image = ecs.ContainerImage.from_registry(self.order.image)
        arguments = vllm_arguments(engine, model_path=self.supply.model_path, place=self.place)
        cache = caching.cache_key(engine, arguments[1:])
        self._add_engine(definition, image, arguments, cache)
        self._add_cache(definition, image, cache)
        if self.place.is_head:
            self._add_reporter(definition, image)
        self.supply.repository.grant_pull(definition.obtain_execution_role())
        self.supply.grant_load(definition.task_role, vpc=self.vpc, cache=cache)
        definition.node.add_dependency(self.order.ready)
        acknowledge(definition, _REASONS | self.supply.reasons)
        return definition

    def _add_engine(
        self, definition: ecs.TaskDefinition, image: ecs.ContainerImage, arguments: list[str], cache: str
    ) -> None:
        engine = self.engine
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
            entry_point=[*caching.restoring(self.supply.bucket.bucket_name, cache), "vllm", "serve"],
            command=arguments,
            gpu_count=engine.gpus,
            memory_limit_mib=engine.memory_gib * 1024 - _REPORTER_MIB - _CACHE_MIB,
            environment={"HOME": _HOME, **caching.VARIABLES, **_region(definition), **variables(engine)},
            secrets={"VLLM_API_KEY": ecs.Secret.from_secrets_manager(self.key)},
            health_check=health_check(engine, self.place),
            stop_timeout=Duration.seconds(timeouts.STOP_S),
            # Reported to fail where NVIDIA's hook adds the driver's files to a root that is read-only.
            readonly_root_filesystem=False,
            linux_parameters=linux,
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            logging=ecs.LogDrivers.aws_logs(stream_prefix=ENGINE, log_group=self.log),
        )
        container.add_ulimits(
            ecs.Ulimit(name=ecs.UlimitName.NOFILE, soft_limit=_OPEN_FILES, hard_limit=_OPEN_FILES),
            ecs.Ulimit(name=ecs.UlimitName.MEMLOCK, soft_limit=-1, hard_limit=-1),
        )
        _mount(container)

    def _add_cache(self, definition: ecs.TaskDefinition, image: ecs.ContainerImage, cache: str) -> None:
        """Add the container that stores what vLLM has compiled, once, and ends."""
        container = definition.add_container(
            "Cache",
            container_name="cache",
            image=image,
            entry_point=["python3"],
            command=caching.storing(self.supply.bucket.bucket_name, cache, f"{self.place.url(_URL)}/health"),
            environment={**_without_gpus(), **_region(definition)},
            memory_limit_mib=_CACHE_MIB,
            essential=False,
            readonly_root_filesystem=True,
            logging=ecs.LogDrivers.aws_logs(stream_prefix="cache", log_group=self.log),
        )
        _mount(container)

    def _add_reporter(self, definition: ecs.TaskDefinition, image: ecs.ContainerImage) -> None:
        """Add the container that reports the metrics. The engine runs without it, and ECS restarts it."""
        definition.add_container(
            "Reporter",
            container_name="reporter",
            image=image,
            entry_point=["python3"],
            command=[
                *("-c", source("report")),
                *(f"{_URL}/metrics", self.stage.namespace, self.engine.model.id),
            ],
            environment=_without_gpus(),
            memory_limit_mib=_REPORTER_MIB,
            essential=False,
            enable_restart_policy=True,
            readonly_root_filesystem=True,
            logging=ecs.LogDrivers.aws_logs(stream_prefix="reporter", log_group=self.lines),
        )


def health_check(engine: Engine, place: Place) -> ecs.HealthCheck:
    """Return a check that waits for an engine that is loading, and not for one that has responded before.

    On several machines the head is what is checked, from each: without it none is of use. ECS gives the head
    its name once it is healthy, and it responds once the others have found it by that name: so until it has
    responded once, it counts as healthy.
    """
    wait_s = timeouts.WAIT_S if engine.machines == 1 else timeouts.NO_WAIT
    url = f"{place.url(_URL)}/health"
    return ecs.HealthCheck(
        command=["CMD", "python3", "-c", source("health"), url, _MARKER, str(wait_s)],
        start_period=Duration.seconds(timeouts.START_PERIOD_S),
        interval=Duration.seconds(timeouts.INTERVAL_S),
        timeout=Duration.seconds(timeouts.TIMEOUT_S),
        retries=timeouts.retries(engine.start_s),
    )


def _region(scope: Construct) -> dict[str, str]:
    """Return the region's variables: ECS sets them on Fargate only, and S3's readers use both."""
    region = Stack.of(scope).region
    return {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}


def _without_gpus() -> dict[str, str]:
    """Return what keeps a container from the GPUs, all of which the image claims by default."""
    return {"NVIDIA_VISIBLE_DEVICES": "void"}


def _mount(container: ecs.ContainerDefinition) -> None:
    container.add_mount_points(
        *(
            ecs.MountPoint(source_volume=name, container_path=path, read_only=False)
            for name, path in _WRITABLE.items()
        )
    )
