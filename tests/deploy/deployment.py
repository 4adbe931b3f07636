"""A stage as deployed: its command line, its outputs, and clients of its addresses."""

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property

import httpx

from infra.deploy.stacks import PARTS, prefix_of
from tests.deploy.account import ROOT, Account
from tests.deploy.clients import client_of
from tests.deploy.toolkit import Toolkit

_KEY = re.compile(r"\bsk-\w+")


@dataclass(frozen=True)
class Deployment:
    """What `cdk deploy --all` has made of one stage."""

    account: Account
    toolkit: Toolkit
    stage: str

    @property
    def stacks(self) -> list[str]:
        """Return the names of its stacks, in the order of their making."""
        made = {stack for stack, _ in self.toolkit.resources()}
        names = (f"{prefix_of(self.stage)}{part}" for part in PARTS)
        return [name for name in names if name in made]

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Return the outputs of its stacks, by their own names."""
        stacks = self.account.stacks()
        return {name: value for stack in self.stacks for name, value in stacks[stack].items()}

    @cached_property
    def key(self) -> str:
        """Make an API key by the command that the outputs name."""
        done = subprocess.run(
            self.outputs["FirstKey"],
            shell=True,
            cwd=ROOT,
            env=os.environ | self.account.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = _KEY.search(done.stdout)
        assert found, f"expected a key, but got {done.stdout}{done.stderr}"
        return found[0]

    def client(self, output: str, key: str | None = None) -> httpx.Client:
        """Return a client of the address in an output, to be closed by its user."""
        return self.client_of(self.outputs[output], key)

    def client_of(self, url: str, key: str | None = None) -> httpx.Client:
        """Return a client of an address, to be closed by its user."""
        return client_of(url, self.account.endpoint, key)

    def resources(self, kind: str) -> list[str]:
        """Return the physical ids of all resources of one type."""
        made = self.made().values()
        return [each["PhysicalResourceId"] for each in made if each["ResourceType"] == kind]

    def made(self) -> dict[tuple[str, str], dict[str, str]]:
        """Return what CloudFormation knows of each resource, by its stack and logical id."""
        pages = self.account.client("cloudformation").get_paginator("list_stack_resources")
        return {
            (stack, each["LogicalResourceId"]): each
            for stack in self.stacks
            for page in pages.paginate(StackName=stack)
            for each in page["StackResourceSummaries"]
        }

    def assert_complete(self) -> None:
        """Compare what was made with the templates."""
        made = {name: (each["ResourceType"], each["ResourceStatus"]) for name, each in self.made().items()}
        expected = {name: (kind, "CREATE_COMPLETE") for name, kind in self.toolkit.resources().items()}
        assert made == expected

    def engine_key(self) -> str:
        """Return the key that the function sends to the engine."""
        keys = [arn for arn in self.resources("AWS::SecretsManager::Secret") if "EngineKey" in arn]
        text: str = self.account.client("secretsmanager").get_secret_value(SecretId=keys[0])["SecretString"]
        return text

    def desired(self) -> tuple[int, int]:
        """Return how many tasks the engine's service should have, and its group machines."""
        cluster, service = (self.resources(f"AWS::ECS::{kind}")[0] for kind in ("Cluster", "Service"))
        services = self.account.client("ecs").describe_services(cluster=cluster, services=[service])
        (group,) = self.resources("AWS::AutoScaling::AutoScalingGroup")
        groups = self.account.client("autoscaling").describe_auto_scaling_groups(
            AutoScalingGroupNames=[group]
        )
        return services["services"][0]["desiredCount"], groups["AutoScalingGroups"][0]["DesiredCapacity"]

    def function_urls(self) -> list[str]:
        """Return the address of each Function URL of the stage's functions."""
        functions = self.account.client("lambda")
        return [
            url["FunctionUrl"]
            for name in self.resources("AWS::Lambda::Function")
            for url in functions.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
        ]


def deploy(account: Account, toolkit: Toolkit, stage: str) -> Deployment:
    """Deploy a stage for the first time."""
    toolkit.run("deploy", "--all", "--require-approval", "never")
    return Deployment(account, toolkit, stage)
