"""Find the text that is closest to a question, with the official openai package (2.x or 3.x)."""

import os
import sys

from openai import OpenAI

TEXTS = [
    "Choose 'Forgot password' on the login page and follow the link in the mail.",
    "We are open from nine to five on weekdays.",
    "Delivery within the country is free above 50 euros.",
    "Refunds are paid within 14 days of a return.",
]

client = OpenAI(
    base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:8000/v1"),
    api_key=os.environ.get("OPENAI_API_KEY", "your_api_key_here"),
)
served = [
    model for model in client.models.list() if "embeddings" in (model.model_extra or {}).get("serves", ())
]
if not served:
    sys.exit("No model here serves embeddings.")
question = " ".join(sys.argv[1:]) or "When does the shop open?"
reply = client.embeddings.create(model=served[0].id, input=[question, *TEXTS])
query, *others = (entry.embedding for entry in reply.data)
closeness = [sum(one * other for one, other in zip(query, each, strict=True)) for each in others]
for score, text in sorted(zip(closeness, TEXTS, strict=True), reverse=True):
    print(f"{score:.2f}  {text}")
