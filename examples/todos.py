from pathlib import Path

import requests


def query(document):
    url = "http://localhost:8000/graphql"
    headers = {"Authorization": "Bearer your_api_key_here"}
    response = requests.post(url, json={"query": document}, headers=headers)
    reply = response.json()
    if "errors" in reply:
        raise SystemExit(reply["errors"][0]["message"])
    return reply["data"]


# Usage
folder = Path(__file__).parent
print(query((folder / "create_todo.graphql").read_text())["createTodo"]["id"])
for todo in query((folder / "todos.graphql").read_text())["todos"]:
    print(todo["createdAt"], "[x]" if todo["completed"] else "[ ]", todo["title"])
