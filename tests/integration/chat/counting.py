"""A behaviour that notes which connections carried requests."""

from dataclasses import dataclass, field

from tests.engines.wire import Behaviour, Reply, Request


@dataclass
class Counting:
    """Pass on to another behaviour; note the connection."""

    then: Behaviour
    connections: list[object] = field(default_factory=list)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Note and pass on; a connection is kept here, so that no other can have its identity."""
        if reply._connection not in self.connections:
            self.connections.append(reply._connection)
        await self.then(request, reply)
