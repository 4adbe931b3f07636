"""Usage records: one for all, and any that there can be."""

from hypothesis import strategies as st

from functions.shared.usage import OUTCOMES, UsageRecord

RECORD = UsageRecord(
    request_id="req_1",
    key_id="key_1",
    model="tiny",
    prompt_tokens=7,
    completion_tokens=3,
    cached_tokens=2,
    duration_ms=120.5,
    first_byte_ms=40,
    outcome="ok",
    started_at=1_795_572_000_123,
)
names = st.text(min_size=1, max_size=20)
counts = st.integers(0, 10**12)
times = counts | st.floats(0, 10**9)
records = st.builds(
    UsageRecord,
    request_id=names,
    key_id=names,
    model=names,
    prompt_tokens=counts,
    completion_tokens=counts,
    cached_tokens=counts,
    duration_ms=times,
    first_byte_ms=st.none() | times,
    outcome=st.sampled_from(OUTCOMES),
    code=st.none() | names,
    started_at=counts,
)
