"""The clients that `docs/clients.md` names, and how their programs are run.

A program is a file beside this one, as short as what the client's user would write. It has a function for
each of `SCENARIOS` that the client can do, and the client finds address and key where its user puts them: in
OPENAI_BASE_URL and OPENAI_API_KEY, where it reads those. `runner.py` says what a function takes and returns.

`test_clients.py` runs the programs against `engine.py`; `document.py` writes the document out of their texts.
A new client is a program, a row here and its pinned package.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

FOLDER = Path(__file__).parent
CHAT, RESPONSES, GRAPHQL = "/v1/chat/completions", "/v1/responses", "/graphql"
SCENARIOS = ("models", "chat", "stream", "tools", "turns", "structured", "completions", "embeddings")
_FUNCTION = re.compile(r"^(?:export )?(?:async )?(?:def|function) (\w+)\(", re.MULTILINE)


@dataclass(frozen=True)
class Client:
    """A client.

    Shape:  `install`: the command of its users. `package`: what of that is pinned in the file `lock`.
            `endpoint`: what it calls to chat, unless its user chooses another. `packages`: the folder in the
            clone that its program imports from.
    """

    name: str
    file: str
    install: str
    package: str
    lock: str
    endpoint: str
    packages: str = ""
    known: tuple[str, ...] = SCENARIOS

    @property
    def command(self) -> list[str]:
        """Return what runs its program, as `run_program` takes it."""
        program = FOLDER / self.file
        if program.suffix == ".py":
            return ["clients/runner.py", program.stem]
        return ["clients/runner.mjs", program.name, self.package, self.packages]

    @property
    def source(self) -> str:
        return (FOLDER / self.file).read_text()

    @property
    def scenarios(self) -> list[str]:
        """Return what its program has functions for."""
        functions = _FUNCTION.findall(self.source)
        return [name for name in self.known if name in functions]


def _python(name: str, file: str, install: str, group: str, endpoint: str) -> Client:
    """Return a Python client; `group` is the one of pyproject.toml that pins it."""
    package = re.split(r"[\[ ]", install)[0]
    packages = "" if group == "test" else f".local/{group}"
    lock = f"requirements/{group}.txt"
    return Client(name, file, f'pip install "{install}"', package, lock, endpoint, packages)


def _npm(name: str, file: str, install: str, endpoint: str, group: str = "clients-node") -> Client:
    """Return a client of npm's registry; `group` is the folder of requirements/ that pins it."""
    package = next(word for word in install.split() if word[0] != "-")
    lock = f"requirements/{group}/package-lock.json"
    return Client(name, file, f"npm install {install}", package, lock, endpoint, f".local/{group}")


_OLDER, _COMPATIBLE = "clients-node-6", "@ai-sdk/openai-compatible"
CLIENTS = (
    _python("OpenAI, Python", "openai_python.py", "openai", "test", RESPONSES),
    _python("OpenAI, Python, 2.x", "openai_python.py", "openai", "openai-2", RESPONSES),
    _python("OpenAI Agents SDK, Python", "openai_agents.py", "openai-agents", "test", RESPONSES),
    _python("Pydantic AI", "pydantic_agent.py", "pydantic-ai-slim[openai]", "clients", RESPONSES),
    _python("LangChain", "langchain_model.py", "langchain-openai", "clients", CHAT),
    _python("LlamaIndex", "llama_index_llm.py", "llama-index-llms-openai-like", "clients-2", CHAT),
    _python("Mirascope", "mirascope_call.py", "mirascope[openai]", "clients-2", RESPONSES),
    _python("Inspect", "inspect_task.py", "inspect-ai", "clients-3", RESPONSES),
    _python("Strands Agents", "strands_agent.py", "strands-agents[openai]", "clients-2", CHAT),
    _python("Instructor", "instructor_client.py", "instructor", "clients-2", CHAT),
    _python("LLM", "llm_command.py", "llm", "clients-3", CHAT),
    _python("LiteLLM", "litellm_sdk.py", "litellm", "clients-3", CHAT),
    _python("LiteLLM proxy", "litellm_proxy.py", "litellm[proxy]", "clients-3", CHAT),
    _python(
        "LiteLLM proxy, Anthropic's API", "litellm_messages.py", "litellm[proxy]", "clients-3", RESPONSES
    ),
    _npm("OpenAI, Node.js", "openai_node.mjs", "openai", RESPONSES),
    _npm("OpenAI, Node.js, 6.x", "openai_node.mjs", "openai", RESPONSES, _OLDER),
    _npm("OpenAI Agents SDK, Node.js", "openai_agents_node.mjs", "@openai/agents", RESPONSES),
    _npm("AI SDK", "ai_sdk.mjs", "ai @ai-sdk/openai", RESPONSES),
    _npm("AI SDK, 6.x", "ai_sdk.mjs", "ai @ai-sdk/openai", RESPONSES, _OLDER),
    _npm("AI SDK, compatible", "ai_sdk_compatible.mjs", f"ai {_COMPATIBLE}", CHAT),
    _npm("AI SDK, compatible, 6.x", "ai_sdk_compatible.mjs", f"ai {_COMPATIBLE}", CHAT, _OLDER),
    _npm("LangChain, Node.js", "langchain_node.mjs", "@langchain/openai", CHAT),
    _npm("Codex CLI", "codex_command.py", "-g @openai/codex", RESPONSES),
)
# Of the todo API: `forward` and `backward` page through the todos of a title by two and return all titles;
# `hashed_get` does so with hashes by GET; `create` makes one, `failure` deletes one that is not there, and
# `subscription` subscribes, which is refused.
GRAPHQL_SCENARIOS = ("create", "forward", "backward", "hashed_get", "failure", "subscription")
GRAPHQL_CLIENTS = tuple(
    replace(client, known=GRAPHQL_SCENARIOS)
    for client in (
        _npm("Apollo Client", "apollo.mjs", "@apollo/client graphql rxjs", GRAPHQL),
        _npm("Apollo Client, 3.x", "apollo.mjs", "@apollo/client graphql", GRAPHQL, _OLDER),
        _npm("urql", "urql.mjs", "@urql/core @urql/exchange-graphcache @urql/exchange-persisted", GRAPHQL),
        _npm("graphql-request", "graphql_request.mjs", "graphql-request graphql", GRAPHQL),
        _npm("Relay", "relay_runtime.mjs", "relay-runtime relay-compiler", GRAPHQL),
        _python("gql, aiohttp", "gql_aiohttp.py", "gql[aiohttp]", "clients-3", GRAPHQL),
        _python("gql, HTTPX", "gql_httpx.py", "gql[httpx]", "clients-3", GRAPHQL),
        _python("ariadne-codegen", "codegen_client.py", "ariadne-codegen", "clients-3", GRAPHQL),
    )
)
