"""The engines' services in ECS, as far as they have to be woken."""

from __future__ import annotations

import asyncio

from functions.chat.engines.scale_from_zero import WakeFailed
from functions.shared.aws import Aws, AwsError


class EcsWaker:
    """Starts one task of a service that has none."""

    def __init__(self, aws: Aws) -> None:
        self._ecs = aws.service("ecs")

    async def wake(self, service: str) -> bool:
        """Have a service run at least one task; tell whether it was to run none.

        Shape:  `service` is its ARN, which names the cluster: `arn:…:service/<cluster>/<service>`.
        Raises: WakeFailed.
        """
        return await asyncio.to_thread(self._wake, service)

    def _wake(self, service: str) -> bool:
        cluster = service.split("/")[1]
        try:
            answer = self._ecs.call("describe_services", cluster=cluster, services=[service])
            if not answer["services"]:
                raise WakeFailed("ServiceNotFoundException")
            if answer["services"][0]["desiredCount"]:
                return False
            self._ecs.call("update_service", cluster=cluster, service=service, desiredCount=1)
        except AwsError as error:
            raise WakeFailed(error.code) from None
        return True
