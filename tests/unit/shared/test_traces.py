"""The documents that X-Ray gets, and when it gets none."""

import json
import re

import pytest

from functions.shared.traces import Traces

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"
HEADER = f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=a87bd80c:1|68fd508a:5"
SPAN = ("engine", 1.0, 3.0)
PARTS = [("wait for the engine", 1.0, 1.5), ("first token", 1.5, 2.0)]


def written(header: str) -> list[bytes]:
    datagrams: list[bytes] = []
    Traces({}, lambda: header, datagrams.append).write(SPAN, PARTS, {"model": "tiny"})
    return datagrams


def test_a_document_is_a_subsegment_of_the_function_s_own() -> None:
    ((head, body),) = [datagram.split(b"\n") for datagram in written(HEADER)]
    document = json.loads(body)
    ids = [document.pop("id"), *(part.pop("id") for part in document["subsegments"])]
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)
    assert len(set(ids)) == 3
    assert json.loads(head) == {"format": "json", "version": 1}
    assert document == {
        "type": "subsegment",
        "trace_id": ROOT,
        "parent_id": PARENT,
        "namespace": "remote",
        "name": "engine",
        "start_time": 1.0,
        "end_time": 3.0,
        "annotations": {"model": "tiny"},
        "subsegments": [
            {"name": "wait for the engine", "start_time": 1.0, "end_time": 1.5},
            {"name": "first token", "start_time": 1.5, "end_time": 2.0},
        ],
    }


@pytest.mark.parametrize(
    "header",
    [
        "",
        HEADER.replace("Sampled=1", "Sampled=0"),
        HEADER.replace("Sampled=1", ""),
        f"Root={ROOT};Sampled=1",
        HEADER.replace(ROOT, "1-x"),
        HEADER.replace(PARENT, '"}'),
    ],
)
def test_nothing_is_written_of_what_x_ray_has_not_chosen(header: str) -> None:
    assert written(header) == []


def test_each_invocation_has_its_own_trace() -> None:
    datagrams: list[bytes] = []
    roots = [ROOT, ROOT.replace("3", "4")]
    headers = iter([HEADER, HEADER.replace(ROOT, roots[1])])
    traces = Traces({}, lambda: next(headers), datagrams.append)
    for root in roots:
        traces.write(SPAN, [], {})
        assert root.encode() in datagrams.pop()


@pytest.mark.parametrize("address", ["", "169.254.79.129", "nowhere:", "127.0.0.1:0"])
def test_a_daemon_that_is_not_there_costs_nothing(address: str) -> None:
    Traces({"AWS_XRAY_DAEMON_ADDRESS": address}, lambda: HEADER).write(SPAN, [], {})
