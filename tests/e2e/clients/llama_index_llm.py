"""`OpenAILike` calls Completions unless `is_chat_model` says otherwise."""

import os
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    country: str


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"sunny in {city}"


def chat(model: str) -> str:
    llm = OpenAILike(model=model, api_base=os.environ["OPENAI_BASE_URL"], is_chat_model=True)
    return llm.complete("What is the capital of France?").text


def stream(model: str) -> list[str]:
    pieces = chat_model(model).stream_complete("What is the capital of France?")
    return [piece.delta or "" for piece in pieces]


async def tools(model: str) -> str:
    agent = FunctionAgent(tools=[get_weather], llm=chat_model(model), streaming=False)
    return str(await agent.run("How is the weather in Paris?"))


def turns(model: str) -> str:
    chat = SimpleChatEngine.from_defaults(llm=chat_model(model))
    chat.chat("What is the capital of France?")
    return str(chat.chat("And of Italy?"))


def structured(model: str) -> Any:
    llm = chat_model(model, should_use_structured_outputs=True).as_structured_llm(City)
    return llm.complete("The capital of France?").raw.model_dump()


def completions(model: str) -> str:
    llm = OpenAILike(model=model, api_base=os.environ["OPENAI_BASE_URL"])
    return llm.complete("The capital of France is").text


def embeddings(model: str) -> list[list[float]]:
    address, key = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
    embedder = OpenAILikeEmbedding(model_name=model, api_base=address, api_key=key)
    return embedder.get_text_embedding_batch(["Paris", "Rome"])


def chat_model(model: str, **options: Any) -> OpenAILike:
    address = os.environ["OPENAI_BASE_URL"]
    return OpenAILike(
        model=model, api_base=address, is_chat_model=True, is_function_calling_model=True, **options
    )
