"""`python -m infra.local` as a user starts and stops it."""

import http.client
import http.server
import json
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from infra.local.loopback import free_port
from infra.local.processes import ending_with_parent
from infra.local.services.engine import MODEL_FILE
from tests import launch
from tests.local_service import run_local

MODELS = {"object": "list", "data": [{"id": "first"}, {"id": "second"}]}


class Backend(http.server.BaseHTTPRequestHandler):
    """A server that lists models to callers with its key."""

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Bearer key"
        body = json.dumps(MODELS).encode() if known else b""
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def backend() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def output_and_status(**variables: str) -> tuple[str, int]:
    process = launch.start(**{"PORT": "0", **variables})
    output, _ = process.communicate(timeout=20)
    return output, process.returncode


def gone(processes: list[psutil.Process], within_s: float) -> bool:
    """Wait for their end; a zombie counts as gone."""
    alive = psutil.wait_procs(processes, timeout=within_s)[1]
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def family(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def name(process: psutil.Process) -> str:
    """Return a process's name, "" once it is gone."""
    with suppress(psutil.NoSuchProcess):
        return str(process.name())
    return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_at_once(number: signal.Signals) -> None:
    process = launch.start(PORT="0")
    launch.url_when_ready(process)
    children = family(process)
    assert len(psutil.Process(process.pid).children()) >= 3, "guardian, engine, sandbox"
    began_s = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=5)
    assert process.returncode == 0
    assert output.strip() == ""
    assert gone(children, 0.5)
    assert time.monotonic() - began_s < 1


def test_no_child_outlives_a_killed_parent() -> None:
    process = launch.start(PORT="0")
    launch.url_when_ready(process)
    children = family(process)
    process.kill()
    process.communicate()
    assert gone(children, 5)


@pytest.mark.slow
@pytest.mark.skipif(not ending_with_parent(), reason="elsewhere the guardian alone kills them")
def test_no_child_outlives_a_parent_that_is_killed_with_its_guardian() -> None:
    process = launch.start(PORT="0", AUTH="on")
    launch.url_when_ready(process)
    children = family(process)
    guardian = next(child for child in children if name(child) == "sh")
    process.kill()
    guardian.kill()
    process.communicate()
    assert gone(children, 5)


def test_a_signal_during_the_start_leaves_nothing() -> None:
    process = launch.start(PORT="0")
    while len(children := family(process)) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=5)
    assert (process.returncode, output) == (0, "")
    assert gone(children, 0.5)


@pytest.mark.slow
def test_an_engine_that_dies_is_started_again_however_often() -> None:
    with run_local() as local, local.service.client() as client:
        next(each for each in local.processes() if is_engine(each)).kill()
        local.out.wait_for(lambda text: "The engine ended (signal SIGKILL) and is started again." in text)
        while not (again := [each for each in local.processes() if is_engine(each)]):
            time.sleep(0.01)
        again[0].kill()
        local.out.wait_for(
            lambda text: "The engine ended (signal SIGKILL) and is started again in 1 s." in text
        )
        body = {"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}
        until_s = time.monotonic() + 20
        while client.post("/v1/chat/completions", json=body).status_code != 200:
            assert time.monotonic() < until_s
            time.sleep(0.1)


def is_engine(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "infra.local.services.llama_server" in process.cmdline()
    return False


def test_health_is_ok_once_the_first_request_succeeds_and_no_sooner() -> None:
    body = json.dumps({"model": "default", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]})
    headers = {"Authorization": "Bearer a-key", "Content-Type": "application/json"}
    port = free_port()
    process = launch.start(PORT=str(port), AUTH="on", DEV_KEY="a-key")
    try:
        statuses = {status(port, "GET", "/health")}
        while 200 not in statuses:
            time.sleep(0.01)
            statuses.add(status(port, "GET", "/health"))
        assert status(port, "POST", "/v1/chat/completions", body, headers) == 200
        assert statuses == {0, 503, 200}
    finally:
        process.terminate()
        output, _ = process.communicate(timeout=5)
    assert output.count("Ctrl-C stops everything.") == 1


def status(port: int, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> int:
    """Return the status of a response, 0 where nothing listens yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with closing(connection), suppress(ConnectionRefusedError):
        connection.request(method, path, body, headers or {})
        return connection.getresponse().status
    return 0


def test_the_models_that_a_backend_lists_are_served() -> None:
    with (
        backend() as url,
        run_local(BACKEND=url, BACKEND_KEY="key") as local,
        urllib.request.urlopen(f"{local.service.url}/v1/models") as response,
    ):
        names = [model["id"] for model in json.load(response)["data"]]
    assert [name for name in names if name != "default"] == ["first", "second"]


def test_where_the_backend_is_not_there_the_fallback_is_served() -> None:
    with (
        backend() as url,
        run_local(BACKEND="http://127.0.0.1:9/v1", FALLBACK=url, FALLBACK_KEY="key") as local,
        urllib.request.urlopen(f"{local.service.url}/v1/models") as response,
    ):
        names = [model["id"] for model in json.load(response)["data"]]
        assert "127.0.0.1:9/v1/models" in str(local.out)
        assert f"engine    {url}\n" in local.banner
    assert names == ["first", "second"]


def test_a_taken_port_is_reported_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        output, status = output_and_status(PORT=str(port))
    assert status == 1
    assert output == f"Port {port} is taken. Choose another: make run PORT={port + 1}\n"


@pytest.mark.slow
def test_an_embedding_model_is_served_beside_the_chat_model(tmp_path: Path) -> None:
    """Any GGUF file will do: that of the chat model, under another name."""
    file = tmp_path / "Vectors.gguf"
    file.symlink_to(MODEL_FILE)
    with run_local(EMBEDDING_MODEL=str(file)) as local, local.service.client() as client:
        listed = {model["id"]: model["serves"] for model in client.get("/v1/models").json()["data"]}
        refused = client.post("/v1/embeddings", json={"model": "default", "input": "Hi"})
    assert listed == {"smollm2-135m-instruct": ["chat", "completions"], "vectors": ["embeddings"]}
    assert refused.status_code == 404
    assert "`vectors` does." in refused.text


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"PORT": "eighty"}, "Expected PORT to be a number from 0 to 65535, but got 'eighty'."),
        ({"PORT": "70000"}, "Expected PORT to be a number"),
        ({"AUTH": "yes"}, "Expected AUTH to be on or off, but got 'yes'."),
        ({"DEV_KEY": "pw\n"}, "Expected DEV_KEY to be what a header can carry"),
        ({"CONCURRENCY": "0"}, "Expected CONCURRENCY to be a number from 1 to 1000"),
        ({"PER_ENVIRONMENT": "65"}, "Expected PER_ENVIRONMENT to be a number from 1 to 64, but got '65'."),
        (
            {"DATABASE_URL": "mysql://u:pw@h/d"},
            "DATABASE_URL is invalid: expected a URL that begins with postgresql://",
        ),
        ({"BACKEND": "localhost:1234"}, "Expected BACKEND to be a URL like http://localhost:1234/v1"),
        (
            {"BACKEND": "http://127.0.0.1:9/v1"},
            "The server cannot be reached at http://127.0.0.1:9/v1/models",
        ),
        (
            {"FALLBACK": "http://127.0.0.1:9/v1"},
            "The server cannot be reached at http://127.0.0.1:9/v1/models",
        ),
        ({"FALLBACK": "local"}, "FALLBACK=local needs a BACKEND"),
        ({"EMBEDDING_MODEL": "/none.gguf"}, "Expected EMBEDDING_MODEL to be a GGUF file, but /none.gguf is"),
    ],
)
def test_wrong_settings_are_reported_in_one_line(variables: dict[str, str], message: str) -> None:
    output, status = output_and_status(**variables)
    assert status == 1
    assert output.startswith(message)
    assert output.count("\n") == 1
    assert "pw" not in output


def test_settings_that_a_function_refuses_end_the_start_with_its_text() -> None:
    output, status = output_and_status(EXTRA_FIELDS="n_predict")
    assert status == 1
    assert output.splitlines()[-1].startswith("MODELS: `extra_fields` of 'smollm2-135m-instruct' cannot have")
    assert "answers on" not in output


def test_a_key_that_the_backend_refuses_is_reported_in_one_line() -> None:
    with backend() as url:
        output, status = output_and_status(BACKEND=url, BACKEND_KEY="wrong")
    assert status == 1
    assert output == f"The server answered 401 at {url}/models. Set BACKEND_KEY to its key.\n"
