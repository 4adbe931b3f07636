"""An AWS that responds as a test sets it: with errors, CloudFormation's XML, or nothing at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_STACK = """\
<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>
<Stacks><member><StackName>chatbot</StackName><CreationTime>2026-11-25T02:00:00Z</CreationTime>
<StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{outputs}</Outputs></member></Stacks>
</DescribeStacksResult></DescribeStacksResponse>"""
_OUTPUT = "<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
_ERROR = "<ErrorResponse><Error><Code>{code}</Code><Message>m</Message></Error></ErrorResponse>"


@dataclass
class ScriptedAws:
    """The same response to every call, but that a stack's table is missing; `calls` are the operations.

    Where `held` is set to an event, responses to the operations of `holding` wait for it.
    """

    url: str = ""
    status: int = 200
    body: str = "{}"
    calls: list[str] = field(default_factory=list)
    held: threading.Event | None = None
    holding: str = ""

    def respond(self, operation: str) -> tuple[int, str]:
        """Return the status and the body."""
        if self.body.startswith("<Describe") and not operation.endswith("DescribeStacks"):
            return 400, _dynamodb_error("ResourceNotFoundException")
        return self.status, self.body

    def fails(self, code: str, status: int = 400) -> None:
        """Respond with an error of DynamoDB."""
        self.status, self.body = status, _dynamodb_error(code)

    def has_stack(self, **outputs: str) -> None:
        """Respond with a stack."""
        members = [_OUTPUT.format(key=key, value=value) for key, value in outputs.items()]
        self.status, self.body = 200, _STACK.format(outputs="".join(members))

    def has_no_stack(self, code: str = "ValidationError") -> None:
        """Respond with an error of CloudFormation."""
        self.status, self.body = 400, _ERROR.format(code=code)


@contextmanager
def scripted_aws() -> Iterator[ScriptedAws]:
    aws = ScriptedAws()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            operation = self.headers.get("x-amz-target") or body.decode().partition("&")[0]
            aws.calls.append(operation)
            if aws.held and aws.holding in operation:
                aws.held.wait(1.5)
            status, text = aws.respond(operation)
            content = text.encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        aws.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield aws
        finally:
            server.shutdown()
            thread.join()


def _dynamodb_error(code: str) -> str:
    """Return an error whose text quotes what should be seen nowhere."""
    return json.dumps({"__type": f"com.amazonaws.dynamodb#{code}", "message": "quoted sk-secret"})
