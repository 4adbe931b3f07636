import requests
import json
import os

def stream_chat_completion(model, messages):
    url = os.environ.get("OPENAI_BASE_URL", "http://localhost:8000/v1") + "/chat/completions"
    headers = {
        "Content-Type": "application/json",
        "Authorization": "bearer" + os.environ.get("OPENAI_API_KEY", "your_api_key_here")
    }
    data = {
        "model": model,
        "messages": messages,
        "stream": True
    }

    with requests.post(url, json=data, headers=headers, stream=True) as response:
        for line in response.iter_lines():
            if line:
                decoded_line = line.decode('utf-8')
                # The end marker is looked for first: it starts with "data: " too, and is not JSON.
                if decoded_line == "data: [DONE]":
                    break
                elif decoded_line.startswith("data: "):
                    chunk = json.loads(decoded_line[6:])
                    yield chunk

# Usage
messages = [{"role": "user", "content": "Tell me a joke"}]
for chunk in stream_chat_completion("default", messages):
    print(chunk['choices'][0]['delta']['content'], end='', flush=True)
