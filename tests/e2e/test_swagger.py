"""Swagger UI at /docs, in a headless Chromium."""

import pytest

from tests.e2e.scenarios import seen_in_browser
from tests.local_service import LocalService


@pytest.mark.nightly
def test_each_example_runs_as_it_stands(local: LocalService) -> None:
    address = f"http://localhost:{local.port}"
    seen = seen_in_browser("swagger", address)
    with local.service.client() as client:
        described = client.get("/openapi.json").json()["paths"]
    assert seen["statuses"] == dict.fromkeys(described, 200)
    assert seen["padlocks"] == 0, "expected none, as no key is required"
    assert f"{address}/" in seen["links"]
    assert seen["console"] == []
