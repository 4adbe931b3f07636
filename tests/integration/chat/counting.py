"""A behaviour that records which connections carried requests."""

from dataclasses import dataclass, field

from tests.engines.wire import Behaviour, Reply, Request


@dataclass
class Counting:
    """Records the connection, then passes on to another behaviour."""

    then: Behaviour
    connections: list[object] = field(default_factory=list)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Record and pass on; a connection is kept here, so that no later one can have its identity."""
        if reply._connection not in self.connections:
            self.connections.append(reply._connection)
        await self.then(request, reply)
