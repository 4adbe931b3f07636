"""The programs that run beside the engine on AWS, with a real server."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.inference import metrics
from infra.inference.programs import health, report, supply
from infra.inference.sources import source

RECORDED = (Path(__file__).parent / "vllm-0.32.0.metrics.txt").read_text()


@dataclass
class Server:
    """The response, and the requests so far: method, path, headers, body.

    Shape:  `raw`: the body, where it is no text. `promised`: how many bytes more its length says.
    """

    url: str = ""
    status: int = 200
    body: str = ""
    raw: bytes = b""
    promised: int = 0
    requests: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            state.requests.append(
                (self.command, self.path, dict(self.headers), self.rfile.read(length).decode())
            )
            self.send_response(state.status)
            body = state.raw or state.body.encode()
            self.send_header("Content-Length", str(len(body) + state.promised))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


def check(url: str, marker: Path, wait_s: float) -> int:
    """Run the check as ECS does, and return its exit status."""
    command = [sys.executable, "-c", source("health"), f"{url}/health", str(marker), str(wait_s)]
    return subprocess.run(command, check=False, timeout=20).returncode


def test_an_engine_that_responds_is_healthy(server: Server, tmp_path: Path) -> None:
    marker = tmp_path / "answered"
    assert check(server.url, marker, 0) == 0
    assert marker.exists()
    assert [each[:2] for each in server.requests] == [("GET", "/health")]


@pytest.mark.parametrize("status", [404, 500, 503])
def test_an_engine_that_refuses_is_not(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    assert check(server.url, tmp_path / "answered", 0) == 1
    assert not (tmp_path / "answered").exists()


def test_an_engine_that_loads_is_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PAUSE_S", 0.02)
    server.status = 503
    threading.Timer(0.2, lambda: setattr(server, "status", 200)).start()
    assert health.healthy(f"{server.url}/health", tmp_path / "answered", wait_s=10)
    assert len(server.requests) > 2


def test_an_engine_that_has_responded_before_must_respond_at_once(server: Server, tmp_path: Path) -> None:
    marker = tmp_path / "answered"
    marker.touch()
    server.status = 503
    began = time.monotonic()
    assert not health.healthy(f"{server.url}/health", marker, wait_s=60)
    assert time.monotonic() - began < 5
    assert len(server.requests) == 1


def test_the_metrics_of_the_real_vllm_are_read() -> None:
    values = report.parse(RECORDED)
    assert values == {
        "vllm:num_requests_running": 0,
        "vllm:num_requests_waiting": 0,
        "vllm:kv_cache_usage_perc": 0,
        "vllm:prompt_tokens_total": 19,
        "vllm:generation_tokens_total": 8,
        "vllm:request_success_total": 1,
    }


def test_the_series_of_a_name_are_added() -> None:
    text = 'vllm:num_requests_running{engine="0"} 2.0\nvllm:num_requests_running{engine="1"} 3.0\n'
    assert report.parse(text) == {"vllm:num_requests_running": 5}


def test_dashboards_and_alarms_use_what_is_reported() -> None:
    assert (metrics.RUNNING, metrics.WAITING, metrics.CACHE) == report.GAUGES
    assert (metrics.PROMPT_TOKENS, metrics.GENERATION_TOKENS) == report.COUNTERS


def test_a_line_has_the_gauges_and_by_how_much_the_counters_grew() -> None:
    readings: list[dict[str, float]] = [
        {"vllm:num_requests_waiting": 0, "vllm:generation_tokens_total": 15},
        {"vllm:num_requests_waiting": 4, "vllm:generation_tokens_total": 21},
    ]
    written = json.loads(
        report.line(
            readings, {"vllm:generation_tokens_total": 10}, namespace="N", model="m", now_ms=7, idle_s=60
        )
    )
    assert written["idle_s"] == 60
    assert written["model"] == "m"
    assert written["vllm:num_requests_waiting"] == [0, 4]
    assert written["vllm:generation_tokens_total"] == 11
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert written["_aws"]["Timestamp"] == 7
    assert (directive["Namespace"], directive["Dimensions"]) == ("N", [["model"]])
    assert {each["Name"] for each in directive["Metrics"]} <= set(written)


def test_a_restarted_engine_counts_from_zero() -> None:
    name = "vllm:prompt_tokens_total"
    written = json.loads(report.line([{name: 3}], {name: 900}, namespace="N", model="m", now_ms=0, idle_s=0))
    assert written[name] == 3


RUNNING, WAITING, GENERATED, ENDED = (report.GAUGES[0], report.GAUGES[1], report.COUNTERS[1], report.ENDED)
# The counters of an engine that has had no request.
UNUSED: dict[str, float] = dict.fromkeys((*report.COUNTERS, ENDED), 0)


@pytest.mark.parametrize(
    ("readings", "idle_s"),
    [
        ([{}, {}, {}], 20),
        ([{RUNNING: 1}, {}, {}], 20),
        ([{}, {RUNNING: 1}, {}], 10),
        ([{}, {}, {WAITING: 1}], 0),
        # A request that began and ended between two readings.
        ([{GENERATED: 5, ENDED: 1}, {GENERATED: 9, ENDED: 2}, {GENERATED: 9, ENDED: 2}], 10),
        # One that generated nothing.
        ([{ENDED: 1}, {ENDED: 2}, {ENDED: 2}], 10),
        # The engine has started again.
        ([{GENERATED: 9}, {GENERATED: 0}, {GENERATED: 0}], 10),
        # It did not respond: what it counted meanwhile is known later.
        ([{GENERATED: 9}, None, {GENERATED: 9}], 20),
        ([{GENERATED: 9}, None, {GENERATED: 10}], 0),
    ],
)
def test_an_engine_is_idle_while_no_request_runs_waits_or_ends(
    readings: list[dict[str, float] | None], idle_s: int
) -> None:
    idleness, last = report.Idleness(0), 0
    for number, values in enumerate(readings):
        if values is not None:
            last = idleness.update({**UNUSED, **values}, 10 * number)
    assert last == idle_s


@pytest.mark.parametrize("missing", UNUSED)
def test_an_engine_that_does_not_count_is_not_known_to_be_idle(missing: str) -> None:
    """Short requests may have come between two readings of the gauges."""
    values = {name: count for name, count in UNUSED.items() if name != missing}
    idleness = report.Idleness(0)
    assert [idleness.update(values, at) for at in (0, 3600)] == [0, 0]


def test_the_first_reading_is_no_proof_of_idleness() -> None:
    """The reporter may have been started again, and requests may have ended meanwhile."""
    assert report.Idleness(0).update({**UNUSED, GENERATED: 9}, 3600) == 0


def test_the_reporter_writes_lines_and_ends_by_sigterm(server: Server) -> None:
    server.body = RECORDED
    program = source("report").replace("PAUSE_S = 10", "PAUSE_S = 0.01")
    command = [sys.executable, "-c", program, f"{server.url}/metrics", "ChatbotApi", "a/b"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        process.terminate()
        assert process.wait(10) == 0
    assert first["vllm:num_requests_running"] == [0] * report.READINGS
    assert first["vllm:prompt_tokens_total"] == second["vllm:prompt_tokens_total"] == 0


def test_nothing_is_reported_while_no_engine_responds(server: Server) -> None:
    server.status = 503
    assert report.read(f"{server.url}/metrics") is None


@pytest.mark.parametrize(
    "body",
    [
        f"{RUNNING} soon\n".encode(),
        f"{RUNNING} 1.0\n# \xff".encode("latin-1"),
        None,  # the connection ends within the body
    ],
)
def test_what_is_no_reading_ends_no_reporter(server: Server, body: bytes | None) -> None:
    server.raw, server.promised = body or b"vllm:", 1 if body is None else 0
    assert report.read(f"{server.url}/metrics") is None


def test_a_gauge_without_a_value_is_left_out_of_the_line() -> None:
    values = report.parse(f"{report.GAUGES[2]} NaN\n{RUNNING} 1e+06\n")
    assert values == {RUNNING: 1_000_000}


def test_cloudformation_is_signalled(server: Server) -> None:
    supply.signal(f"{server.url}/signed?x=y", supply.outcome("no such model", "build:1", ""))
    ((method, path, headers, body),) = server.requests
    assert (method, path, headers["Content-Type"]) == ("PUT", "/signed?x=y", "")
    assert json.loads(body) == {
        "Status": "FAILURE",
        "Reason": "no such model",
        "UniqueId": "build:1",
        "Data": "",
    }


def test_a_build_that_was_started_by_hand_signals_nothing() -> None:
    assert supply.main("signal", {"CODEBUILD_BUILD_ID": "project:1"}) == 0


@pytest.mark.parametrize(
    ("left", "status"), [(None, "FAILURE"), ("no such model", "FAILURE"), ("", "SUCCESS")]
)
def test_the_result_is_signalled_whatever_was_left(
    server: Server, tmp_path: Path, left: str | None, status: str
) -> None:
    if left is not None:
        (tmp_path / "reason.txt").write_text(left)
    (tmp_path / "digest.txt").write_text("sha256:0f")
    (tmp_path / "supply.py").write_text(source("supply"))
    environment = {"SIGNAL_URL": server.url, "CODEBUILD_BUILD_ID": "build:1"}
    command = [sys.executable, "-S", "supply.py", "signal"]  # without any packages
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=20)
    message = json.loads(server.requests[0][3])
    assert (message["Status"], bool(message["Reason"]), message["UniqueId"]) == (status, True, "1")
    assert message["Data"] == "sha256:0f"
