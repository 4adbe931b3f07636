"""Many invocations at once in one environment: what Lambda Managed Instances give it."""

from tests.integration.streaming.conftest import Environment, Start, url_event
from tests.integration.streaming.runtime_api import TIMEOUT_S, Post


def start_many(start: Start, count: int, handler: str = "apps.handler", **variables: str) -> Environment:
    """Start an environment that waits for that many invocations at once."""
    environment = start(handler, AWS_LAMBDA_MAX_CONCURRENCY=str(count), **variables)
    for _ in range(count):
        environment.api.wait_next()
    return environment


def posts(environment: Environment, count: int) -> dict[str, Post]:
    """Return what the function posts next, by request."""
    received = [environment.api.posts.get(timeout=TIMEOUT_S) for _ in range(count)]
    return {post.request_id: post for post in received}


def test_64_streams_run_at_once_and_each_arrives_whole(start: Start) -> None:
    environment = start_many(start, 64)
    for number in range(64):
        environment.api.deliver(url_event("/numbered", query=str(number)))
    received = posts(environment, 64)
    for number in range(64):
        post = received[f"request-{number + 1}"]
        lines = b"".join(b"%d of request-%d, " % (turn, number + 1) for turn in range(20))
        assert post.body == lines + b"query %d" % number
        assert len(post.chunks) == 22
        assert post.end == b"0\r\n\r\n"
    starts = max(post.arrivals[0] for post in received.values())
    assert starts < min(post.arrivals[-1] for post in received.values()), "expected all to run at once"
    assert environment.api.connections == 128
