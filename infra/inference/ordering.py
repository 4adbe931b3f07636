"""An order to copy the image and the weights: it starts the build, and waits until the build has its result.

It is made when the engine's stack is deployed with another image, model or revision. A wait condition waits
only once, so its name changes with the order. It is not in the stack of the build: a copy that fails then
leaves what was copied before it where it is, and the next deployment goes on from there.
"""

from __future__ import annotations

import hashlib

from aws_cdk import CfnWaitCondition, CfnWaitConditionHandle, Fn, custom_resources
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.log_groups import log_group
from infra.inference.copying import BUILD, QUEUE, service_role
from infra.inference.supply import Supply
from infra.stages import Engine, Stage

# The build reports its result before the deployment stops waiting.
WAIT_S = int(BUILD.to_seconds() + QUEUE.to_seconds()) + 600


class Order(Construct):
    """The start of the build, and the wait for its end.

    Shape:  `ready`: what needs the image and the weights depends on it. `image`: the copy, by its digest.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, engine: Engine, supply: Supply
    ) -> None:
        super().__init__(scope, construct_id)
        build = supply.build
        log = log_group(self, "Log", stage=stage)
        role = service_role(self, "Role", "lambda", log)
        role.add_to_policy(
            iam.PolicyStatement(actions=["codebuild:StartBuild"], resources=[build.project_arn])
        )
        name = order_name(engine)
        handle = CfnWaitConditionHandle(self, f"Handle{name}")
        start = custom_resources.AwsCustomResource(
            self,
            f"Start{name}",
            resource_type="Custom::StartBuild",
            on_create=custom_resources.AwsSdkCall(
                service="CodeBuild",
                action="startBuild",
                parameters={
                    "projectName": build.project_name,
                    "environmentVariablesOverride": [{"name": "SIGNAL_URL", "value": handle.ref}],
                },
                physical_resource_id=custom_resources.PhysicalResourceId.of(name),
                output_paths=["build.id"],
            ),
            role=role,
            install_latest_aws_sdk=False,
            log_group=log,
        )
        self.ready = CfnWaitCondition(self, f"Ready{name}", count=1, handle=handle.ref, timeout=str(WAIT_S))
        self.ready.node.add_dependency(start)
        # The condition's data is one signal's, as in {"its id": "its data"}: the fourth part between quotes.
        digest = Fn.select(3, Fn.split('"', self.ready.attr_data.to_string()))
        self.image = f"{supply.repository.repository_uri}@{digest}"


def order_name(engine: Engine) -> str:
    """Return the name of an order: another one for another image, model or revision."""
    # With the name of what a build reports: the result of an order of before has none.
    text = "\n".join((engine.image, engine.model.id, engine.model.revision, "digest"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
