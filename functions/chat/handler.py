"""The chat function: settings → keys, secrets, engine → app → adapter."""

from __future__ import annotations

import os

from lambda_stream import StreamingHandler, trace_id

from functions.chat.engines.credentials import Credentials
from functions.chat.engines.fallback import Fallback
from functions.chat.engines.http import HttpEngine
from functions.chat.engines.scale_from_zero import ScaleFromZero
from functions.chat.engines.scaler import ScalerFunction
from functions.chat.errors import NO_RETRY
from functions.shared.access import Access
from functions.shared.aws import Aws
from functions.shared.cors import with_cors
from functions.shared.metrics import Metrics
from functions.shared.role import Role
from functions.shared.secrets import Secrets
from functions.shared.signed import Signed
from functions.shared.snapshot import before_snapshot
from functions.shared.traces import Traces

from .app import create_served_app
from .failures import end_of_stream, error_body
from .settings import Settings
from .usage import Meter

settings = Settings.from_environment(os.environ)
role = Role(os.environ)
aws = Aws(Signed(os.environ, role))
access = Access(settings, aws, keep_records_days=settings.keep_records_days)
secrets = Secrets(aws)
metrics = Metrics(settings.metrics) if settings.metrics else None
started = ScaleFromZero(
    HttpEngine(settings, Credentials(secrets, role)),
    ScalerFunction(aws, settings.lambda_endpoint),
    timeout_s=settings.warming_timeout_s,
    metrics=metrics,
)
engine = Fallback(started, metrics=metrics)
traces = Traces(os.environ, trace_id) if "AWS_XRAY_DAEMON_ADDRESS" in os.environ else None
meter = Meter(ledger=access.table, metrics=metrics, traces=traces)
app = create_served_app(settings, engine, access.keyring, meter, access.table)
handler = StreamingHandler(
    with_cors(app, settings.cors_origins),
    on_failure=end_of_stream,
    error_body=error_body,
    error_headers=NO_RETRY,  # at the deadline, or after a bug, an engine may have run the request
)
access.warm()
secrets.warm(*(model.key_secret for model in settings.models.values() if model.key_secret))
before_snapshot(aws.drain)
