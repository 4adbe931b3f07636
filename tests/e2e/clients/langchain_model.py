"""`use_responses_api=True` has it call Responses. Embeddings need `check_embedding_ctx_length=False`."""

from typing import Any

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    country: str


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"sunny in {city}"


def chat(model: str) -> str:
    llm = ChatOpenAI(model=model)
    return llm.invoke("What is the capital of France?").text


def stream(model: str) -> list[str]:
    pieces = ChatOpenAI(model=model).stream("What is the capital of France?")
    return [piece.text for piece in pieces]


def tools(model: str) -> str:
    llm = ChatOpenAI(model=model).bind_tools([get_weather])
    messages: list[Any] = [HumanMessage("How is the weather in Paris?")]
    messages.append(llm.invoke(messages))
    messages += [
        ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
        for call in messages[-1].tool_calls
    ]
    return llm.invoke(messages).text


def turns(model: str) -> str:
    llm = ChatOpenAI(model=model)
    question = HumanMessage("What is the capital of France?")
    return llm.invoke([question, llm.invoke([question]), HumanMessage("And of Italy?")]).text


def structured(model: str) -> Any:
    city: Any = ChatOpenAI(model=model).with_structured_output(City).invoke("The capital of France?")
    return city.model_dump()


def embeddings(model: str) -> list[list[float]]:
    embedder = OpenAIEmbeddings(model=model, check_embedding_ctx_length=False)
    return embedder.embed_documents(["Paris", "Rome"])
