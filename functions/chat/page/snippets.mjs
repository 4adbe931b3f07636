// A request that was sent, as a person would send it from a terminal or a program.

const KEY = "YOUR_API_KEY";

/** Return the command. */
export function curl(base, request) {
  const { stream_options: _, ...body } = request;
  const quoted = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return [
    `curl -N ${base}/chat/completions \\`,
    `  -H 'Authorization: Bearer ${KEY}' \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -d '${quoted}'`,
  ].join("\n");
}

/** Return the program; a JSON string is a string of Python, too. */
export function python(base, request) {
  const messages = request.messages.map(
    ({ role, content }) => `        {"role": "${role}", "content": ${JSON.stringify(content)}},`,
  );
  return [
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${base}", api_key="${KEY}")`,
    "stream = client.chat.completions.create(",
    `    model=${JSON.stringify(request.model)},`,
    "    messages=[",
    ...messages,
    "    ],",
    "    stream=True,",
    ")",
    "for chunk in stream:",
    "    if chunk.choices:",
    '        print(chunk.choices[0].delta.content or "", end="", flush=True)',
    "print()",
  ].join("\n");
}
