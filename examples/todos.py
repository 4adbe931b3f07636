import os
import sys
from pathlib import Path

import requests

URL = sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8000/graphql"
KEY = os.environ.get("API_KEY", "your_api_key_here")


def query(document):
    headers = {"Authorization": f"Bearer {KEY}"}
    response = requests.post(URL, json={"query": document}, headers=headers)
    reply = response.json()
    if "errors" in reply:
        raise SystemExit(reply["errors"][0]["message"])
    return reply["data"]


# Usage
folder = Path(__file__).parent
print(query((folder / "create_todo.graphql").read_text())["createTodo"]["id"])
for todo in query((folder / "todos.graphql").read_text())["todos"]:
    print(todo["createdAt"], "[x]" if todo["completed"] else "[ ]", todo["title"])
