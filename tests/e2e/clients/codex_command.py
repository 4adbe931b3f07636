"""A coding agent in the terminal: `codex -p chatbot` is a conversation. Its first request has about 10,000
tokens, and it sets no limit for replies: it needs a model with a longer context and a high
`max_tokens_default`. Without the last two lines of its file, it sends a request that fails up to 30 times,
and one whose stream breaks 6 times."""

import json
import os
from tempfile import TemporaryDirectory
from typing import Any

from tests.e2e.clients.shell import shell

COMMAND = """mkdir -p ~/.codex && cat > ~/.codex/chatbot.config.toml <<END
model = "$MODEL"
model_provider = "chatbot"

[model_providers.chatbot]
name = "Chatbot API"
base_url = "$OPENAI_BASE_URL"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
END
codex exec -p chatbot "What is the capital of France?\""""
SCHEMA = """{
  "type": "object",
  "properties": {"name": {"type": "string"}, "country": {"type": "string"}},
  "required": ["name", "country"],
  "additionalProperties": false
}"""
HOME = TemporaryDirectory(prefix="codex-")
os.environ |= {"HOME": HOME.name, "TMPDIR": HOME.name}


def chat(model: str) -> str:
    return shell(COMMAND, model)


def tools(model: str) -> str:
    # The engine's command is harmless, and not every machine has what the sandbox needs.
    return shell(f"{COMMAND} --sandbox danger-full-access", model)


def turns(model: str) -> str:
    shell(COMMAND, model)
    return shell('codex exec -p chatbot resume --last "And of Italy?"', model)


def structured(model: str) -> Any:
    schema = f"cat > ~/schema.json <<END\n{SCHEMA}\nEND\n"
    return json.loads(shell(f"{schema}{COMMAND} --output-schema ~/schema.json", model))
