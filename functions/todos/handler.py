"""The todo function: settings → keys, database, store → app → adapter."""

from __future__ import annotations

import os
from pathlib import Path

import prisma_in_process
from lambda_stream import StreamingHandler

from functions.shared.access import Access
from functions.shared.aws import Aws
from functions.shared.cors import with_cors
from functions.shared.role import Role
from functions.shared.secrets import Secrets
from functions.shared.signed import Signed
from functions.shared.snapshot import before_snapshot

from .address import GivenAddress, SecretAddress
from .app import EXPOSED, create_app
from .database import Database
from .failures import error_body
from .settings import Settings
from .store import PrismaStore

prisma_in_process.install(plans=Path(__file__).with_name("plans.json"))
settings = Settings.from_environment(os.environ)
aws = Aws(Signed(os.environ, Role(os.environ)))
access = Access(settings, aws)
secret, authority = settings.database_secret, settings.database_ca
address = SecretAddress(Secrets(aws), secret, authority) if secret else GivenAddress(settings.database_url)
store = PrismaStore(Database(address, timeout_s=settings.query_timeout_s))
app = create_app(settings, store, access.keyring, access.table)
handler = StreamingHandler(with_cors(app, settings.cors_origins, exposed=EXPOSED), error_body=error_body)
access.warm()
before_snapshot(aws.drain)
