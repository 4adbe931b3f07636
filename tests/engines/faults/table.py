"""What engines do that clients must not suffer from, and what each caller must get: the table `FAULTS`.

Each fault is a model's name, so that one engine does them all (`ENGINE`). It happens to a streamed reply, to
a whole one, or to both. A reply that is odd but complete is right as `Good`, with everything that the engine
sent; a broken one is right as `Bad`, an error that the client can read.
"""

from collections.abc import Mapping

from tests.engines.behaviours import ByModel, Chat, vllm_error
from tests.engines.faults.breaks import BREAKS
from tests.engines.faults.calls import CALLS
from tests.engines.faults.errors import EVENTS, HTTP, REPORTS
from tests.engines.faults.replies import CONTROLS, ENDS, FRAMES, TEXTS
from tests.engines.faults.script import Fault

KINDS: Mapping[str, Mapping[str, Fault]] = {
    "ordinary": CONTROLS,
    "odd texts": TEXTS,
    "odd tool calls": CALLS,
    "odd ends": ENDS,
    "odd events": FRAMES,
    "replies that break": BREAKS,
    "errors that engines report": {**REPORTS, **EVENTS},
    "HTTP that fails": HTTP,
}
FAULTS = {name: fault for faults in KINDS.values() for name, fault in faults.items()}


def _behaviour(fault: Fault) -> Chat:
    """An engine gets a request that it has no script for only where a gateway changed `stream`."""
    missing = vllm_error(418)
    return Chat(fault.stream or missing, fault.whole or missing)


ENGINE = ByModel({name: _behaviour(fault) for name, fault in FAULTS.items()})
