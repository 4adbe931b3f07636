"""A function that does what its event's path says, with a Runtime API client of its own in each thread."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

HOST, _, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
ROOT = "/2018-06-01/runtime"
PRELUDE = b'{"statusCode":200,"headers":{"content-type":"text/plain"},"cookies":["a=1","b=2"]}' + bytes(8)


class Reply:
    """A streamed reply, chunk by chunk."""

    def __init__(self, request_id: str, token: str, prelude: bytes = PRELUDE) -> None:
        self.socket = socket.create_connection((HOST, int(PORT)))
        self.socket.sendall(
            f"POST {ROOT}/invocation/{request_id}/response HTTP/1.1\r\nHost: {HOST}\r\n"
            "Content-Type: application/vnd.awslambda.http-integration-response\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type\r\n"
            f"Lambda-Runtime-Invocation-Id: {token}\r\nConnection: close\r\n\r\n".encode()
        )
        if prelude:
            self.write(prelude)

    def write(self, data: bytes) -> None:
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self, trailers: bytes = b"") -> bytes:
        self.socket.sendall(b"0\r\n" + trailers + b"\r\n")
        answer = b"".join(iter(lambda: self.socket.recv(65536), b""))
        self.socket.close()
        return answer


def post(path: str, document: Any, headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection(HOST, int(PORT))
    connection.request("POST", ROOT + path, json.dumps(document), headers or {})
    status = connection.getresponse().status
    connection.close()
    return status


def stream(reply: Reply, query: dict[str, str]) -> None:
    for number in range(int(query.get("count", 3))):
        if number:
            time.sleep(float(query.get("pause", 0)))
        reply.write(b"piece %d\n" % number)
    reply.end()


def endless(reply: Reply, query: dict[str, str]) -> None:
    """Stream until the socket breaks, then leave the time of it in a file."""
    try:
        while True:
            reply.write(b"tick\n")
            time.sleep(0.01)
    except OSError:
        Path(query["file"]).write_text(str(time.time()))


def flood(reply: Reply, query: dict[str, str]) -> None:
    """Stream many bytes as fast as they are taken, keeping count in a file."""
    for sent in range(1, int(query["megabytes"]) + 1):
        reply.write(bytes(1_000_000))
        Path(query["file"]).write_text(str(sent))
    reply.end()


def crash(reply: Reply, query: dict[str, str]) -> None:
    reply.write(b"the beginning")
    time.sleep(float(query.get("pause", 0)))
    os._exit(3)


def reply_and_crash(reply: Reply, query: dict[str, str]) -> None:  # noqa: ARG001
    reply.write(b"all of it")
    reply.socket.sendall(b"0\r\n\r\n")
    os._exit(3)


def trailers(reply: Reply, query: dict[str, str]) -> None:  # noqa: ARG001
    reply.write(b"the beginning")
    reply.end(b"Lambda-Runtime-Function-Error-Type: Function.Broken\r\n")


def hang(reply: Reply, query: dict[str, str]) -> None:  # noqa: ARG001
    reply.write(b"the beginning")
    time.sleep(60)


STREAMS = {
    "/stream": stream,
    "/endless": endless,
    "/flood": flood,
    "/crash-midway": crash,
    "/answer-and-crash": reply_and_crash,
    "/trailers": trailers,
    "/hang-midway": hang,
}


def handle(event: dict[str, Any], request_id: str, token: str) -> None:
    path = event["rawPath"]
    query = {name: values[0] for name, values in parse_qs(event["rawQueryString"]).items()}
    if path in STREAMS:
        time.sleep(float(query.get("before", 0)))
        STREAMS[path](Reply(request_id, token), query)
    elif path == "/crash":
        os._exit(3)
    elif path == "/crash-with-child":
        subprocess.Popen(("sleep", "60"))
        os._exit(3)
    elif path == "/hang":
        time.sleep(60)
    elif path == "/error":
        post(f"/invocation/{request_id}/error", {"errorType": "Function.Oops", "errorMessage": "oops"})
    elif path == "/malformed":
        Reply(request_id, token, b"no prelude" + bytes(8)).end()
    elif path == "/empty":
        Reply(request_id, token, b'{"statusCode":204}' + bytes(8)).end()
    elif path == "/large":
        status = post(f"/invocation/{request_id}/response", "x" * 7_000_000)
        Path(query["file"]).write_text(str(status))
    elif path == "/late":
        stale = Reply(request_id, "of-another-delivery").end()
        post(f"/invocation/{request_id}/response", stale.decode().split("\r\n")[0])
    else:
        time.sleep(float(query.get("pause", 0)))
        post(f"/invocation/{request_id}/response", {"pid": os.getpid(), "event": event})


def main() -> None:
    print("starting", flush=True)
    match os.environ.get("INIT"):
        case "error":
            post("/init/error", {"errorType": "Runtime.ImportModuleError"})
            sys.exit(1)
        case "exit":
            sys.exit(7)
        case "hang":
            time.sleep(60)
    for _ in range(int(os.environ.get("AWS_LAMBDA_MAX_CONCURRENCY", "1")) - 1):
        threading.Thread(target=work, daemon=True).start()
    work()


def work() -> None:
    """Serve one invocation after the other."""
    connection = http.client.HTTPConnection(HOST, int(PORT))
    while True:
        connection.request("GET", f"{ROOT}/invocation/next")
        answer = connection.getresponse()
        event = json.loads(answer.read())
        handle(
            event,
            answer.headers["Lambda-Runtime-Aws-Request-Id"],
            answer.headers["Lambda-Runtime-Invocation-Id"],
        )


if __name__ == "__main__":
    main()
