"""`make smoke URL=…` with the whole service on this machine."""

import io

from infra.smoke.__main__ import main
from tests.local_service import Service


def test_all_of_it_works(service: Service) -> None:
    out = io.StringIO()
    assert main({"URL": service.url, "KEY": service.key}, out) == 0, out.getvalue()
    assert "of the time" in out.getvalue()
