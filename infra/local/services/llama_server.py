"""The embedded engine's process: llama.cpp's own server with a small model, on loopback.

One thread, because it shares the machine; more HTTP threads than slots, or a waiting stream would block even
`/health`. Run as `python -m infra.local.services.llama_server MODEL_FILE ALIAS PORT`, with its API key in
LLAMA_API_KEY; prints one line when it is ready.
"""

import os
import signal
import sys

import xllamacpp

from infra.local.services.models import EMBEDDED, PREFIX

_SLOTS = 4
_TOKENS_PER_SLOT = 2048
_HTTP_THREADS = 32


def parameters(model_file: str, alias: str, port: int, key: str) -> xllamacpp.CommonParams:
    """Return llama.cpp's settings."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = model_file
    chosen.model_alias = {alias}
    chosen.hostnames = ["127.0.0.1"]
    chosen.port = port
    # llama.cpp checks no Host, and lets pages read its responses. Nothing is served without the key.
    chosen.api_keys = [key]
    chosen.api_prefix = PREFIX
    chosen.cors_origins = ""
    chosen.cors_credentials = False
    chosen.ui = False
    chosen.endpoint_slots = False
    chosen.n_ctx = _SLOTS * _TOKENS_PER_SLOT
    chosen.n_parallel = _SLOTS
    chosen.cpuparams.n_threads = 1
    chosen.cpuparams_batch.n_threads = 1
    chosen.n_threads_http = _HTTP_THREADS
    chosen.use_jinja = True
    # Texts of at most 512 tokens. The chat model's are the mean of what it makes of each: the right shape,
    # little meaning (`docs/decisions/0019-embeddings-on-a-laptop.md`). An embedding model says what it does.
    chosen.embedding = True
    if alias == EMBEDDED:
        chosen.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return chosen


def main(model_file: str, alias: str, port: str) -> None:
    """Serve until killed."""
    server = xllamacpp.Server(parameters(model_file, alias, int(port), os.environ["LLAMA_API_KEY"]))
    print(f"ready {server.listening_address}", flush=True)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
