"""Objects only: it has the model call a function whose arguments are the object."""

from typing import Any

import instructor
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


def structured(model: str) -> Any:
    client = instructor.from_provider(f"openai/{model}")
    question = {"role": "user", "content": "What is the capital of France?"}
    return client.create(response_model=City, messages=[question]).model_dump()
