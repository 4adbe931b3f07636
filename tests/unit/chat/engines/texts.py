"""Errors as engines word them, recorded, each with what the caller gets: to add one, add a row.

Sources: the rows of `functions/chat/engines/wordings.py` that they match.
"""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """What the caller gets: the status, type, code and param, and a part of the text."""

    status: int
    type: str
    code: str | None
    param: str | None
    text: str


INVALID, SERVER, UNAVAILABLE = "invalid_request_error", "server_error", "service_unavailable_error"


def invalid(param: str | None, text: str, code: str = "invalid_value") -> Answer:
    return Answer(400, INVALID, code, param, text)


def unsupported(param: str, text: str) -> Answer:
    return invalid(param, text, "unsupported_parameter")


def context(size: int | None) -> Answer:
    text = f"context length is {size} tokens" if size else "context is limited"
    return invalid("messages", text, "context_length_exceeded")


def upstream(text: str) -> Answer:
    return Answer(502, SERVER, "upstream_error", None, text)


def value(param: str) -> Answer:
    return invalid(param, f"does not take this value of '{param}'")


TEXT_ONLY = invalid("messages", "takes text only")
NO_IMAGES = invalid("messages", "takes no images")
ONE_IMAGE = invalid("messages", "fewer images in one request, at most 1")
UNREADABLE = invalid("messages", "could not be read")
TOO_LARGE = invalid("messages", "too large for this engine")
NO_URL = invalid("messages", "as a data URL")
TOOLS_OFF = unsupported("tools", "not set up for tool calls")
TOOL_CHOICE = invalid("tool_choice", "does not fit 'tools'")
TOOLS = invalid("tools", "function in 'tools'")
EITHER = invalid("response_format", "'response_format' or 'tools', not both")
SCHEMA = invalid("response_format", "schema in 'response_format' or 'tools'")
ROLES = invalid("messages", "'user' and 'assistant' in turns")
NO_SYSTEM = invalid("messages", "takes no system message")
SYSTEM_FIRST = invalid("messages", "at the beginning only")
HISTORY = invalid("messages", "does not take messages in this order")
TEMPLATE = invalid("messages", "chat template does not take these messages")
NO_TEMPLATE = upstream("has no chat template")
LOGPROBS = unsupported("logprobs", "no 'logprobs'")
TOP_LOGPROBS = invalid("top_logprobs", "at most 20")
BEST_OF = invalid("best_of", "'best_of'")
CHOICES = invalid("n", "lower 'n'")
REASONING = invalid("reasoning_effort", "'reasoning_effort'", "unsupported_value")
TOKENS = invalid("messages", "tokens that this model does not have")
EMPTY = invalid("messages", "empty prompt")
MODEL = Answer(404, INVALID, "model_not_found", None, "`tiny` does not exist")
NO_CHAT = invalid("model", "does not answer chat completions")
NOT_SERVED = Answer(404, INVALID, "model_not_served", "model", "does not serve this endpoint")
DIMENSIONS = invalid("dimensions", "no such number of dimensions", "unsupported_value")
FILTERED = invalid("messages", "content filter", "content_filter")
BUSY = Answer(503, UNAVAILABLE, "server_is_overloaded", None, "busy")
LOADING = Answer(503, UNAVAILABLE, "server_is_overloaded", None, "loading the model")
LIMITED = Answer(429, "requests", "rate_limit_exceeded", None, "no more requests")
QUOTA = Answer(429, "insufficient_quota", "insufficient_quota", None, "quota is used up")
TIMEOUT = Answer(504, SERVER, "timeout", None, "did not answer in time")
NO_ACCESS = upstream("no access to the model at its host")
NO_STREAM = unsupported("stream", "does not stream")
MEMORY = upstream("out of memory")
DEAD = upstream("has crashed")
REJECTED = invalid(None, "rejected the request as invalid")

TEXTS: tuple[tuple[str, Answer], ...] = (
    # vLLM: the context
    (
        "This model's maximum context length is 4096 tokens. However, you requested 4472 tokens (376 in the "
        "messages, 4096 in the completion). Please reduce the length of the messages or completion.",
        context(4096),
    ),
    (
        "This model's maximum context length is 16385 tokens. However, your messages resulted in 38551 "
        "tokens.",
        context(16385),
    ),
    (
        "This model's maximum context length is 2048 tokens. However, you requested 100 output tokens and "
        "your "
        "prompt contains at least 1949 input tokens, for a total of at least 2049 tokens.",
        context(2048),
    ),
    (
        "'max_tokens' or 'max_completion_tokens' is too large: 16384. This model's maximum context length "
        "is 65536 "
        "tokens and your request has 52189 input tokens (16384 > 65536 - 52189).",
        context(65536),
    ),
    ("max_tokens=100000 cannot be greater than max_model_len=2048. Please request fewer.", context(2048)),
    ("max_completion_tokens=9000 cannot be greater than max_total_tokens=8192.", context(8192)),
    (
        "The decoder prompt (length 40971) is longer than the maximum model length of 40960. Make sure that "
        "`max_model_len` is no smaller than the number of text tokens.",
        context(40960),
    ),
    (
        "The decoder prompt (length 8192) plus the number of requested output tokens (at least 1) is "
        "longer than the "
        "maximum model length of 8192.",
        context(8192),
    ),
    ("Prompt length of 5000 is longer than the maximum model length of 4096.", context(4096)),
    (
        "The prompt (total length 25938) is too long to fit into the model (context length 4096). Make "
        "sure that "
        "`max_model_len` is no smaller than the number of text tokens plus multimodal tokens.",
        context(4096),
    ),
    (
        "You passed 4097 input tokens and requested 512 output tokens. However, the model's context "
        "length is only "
        "4096 tokens, resulting in a maximum input length of 3584 tokens.",
        context(4096),
    ),
    (
        "You passed 99999 input characters. However, the model's context length is only 2048 tokens (at "
        "most 9000 "
        "characters).",
        context(2048),
    ),
    ("Input length (5000) exceeds model's maximum context length (4096).", context(4096)),
    ("max_tokens must be at least 1, got -186.", context(None)),
    ("Input prompt (36893 tokens) is too long and exceeds limit of 1000", context(1000)),
    # SGLang: the context
    (
        "The input (8200 tokens) is longer than the model's context length (8192 tokens).",
        context(8192),
    ),
    (
        "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a "
        "total of "
        "9000 tokens: 5000 tokens from the input messages and 4000 tokens for the completion.",
        context(8192),
    ),
    ("Input length (9000 tokens) exceeds the maximum allowed length (8186 tokens).", context(8186)),
    ("Multimodal prompt is too long after expanding multimodal tokens. ", context(None)),
    # llama.cpp: the context
    (
        "request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it",
        context(4096),
    ),
    ("the request exceeds the available context size, try increasing it", context(None)),
    (
        "the request exceeds the available context size. try increasing the context size or enable "
        "context shift",
        context(None),
    ),
    ("input (9000 tokens) is larger than the max context size (8192 tokens). skipping", context(8192)),
    (
        "input (600 tokens) is too large to process. increase the physical batch size (current batch "
        "size: 512)",
        context(512),
    ),
    ("Context size has been exceeded.", context(None)),
    ("Requested tokens (2285) exceed context window of 2048", context(2048)),
    (
        "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded "
        "with context "
        "length of only 4096 tokens, which is not enough.",
        context(4096),
    ),
    # TGI, Ollama, Bedrock and others: the context
    (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 1244 `inputs` "
        "tokens and "
        "1000 `max_new_tokens`",
        context(2048),
    ),
    ("Input validation error: `inputs` must have less than 1024 tokens. Given: 1872", context(1024)),
    (
        "Input validation error: `max_new_tokens` must be <= 192. Given: 200",
        invalid("max_tokens", "at most 192"),
    ),
    ("the input length exceeds the context length", context(None)),
    (
        "the prompt is longer than the context length currently available to the model; shorten the prompt",
        context(None),
    ),
    ("input after truncation exceeds maximum context length", context(None)),
    ("prompt too long; exceeded max context length by 4 tokens", context(None)),
    ("The model returned the following errors: Input is too long for requested model.", context(None)),
    ("Input is too long for requested model.", context(None)),
    ("Too many input tokens. Max input tokens: 8192, request input token count: 9000", context(8192)),
    ("Malformed input request: expected maxLength: 250000, actual: 300000", context(None)),
    (
        "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum "
        "tokens value "
        "lower than 4096.",
        invalid("max_tokens", "at most 4096"),
    ),
    ("prompt is too long: 209303 tokens > 200000 maximum", context(200000)),
    (
        "input length and `max_tokens` exceed context limit: 179413 + 32768 > 200000, decrease input length",
        context(200000),
    ),
    (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context "
        "length",
        context(32768),
    ),
    (
        "The input token count (2800010) exceeds the maximum number of tokens allowed (1048575).",
        context(1048575),
    ),
    ("The input token count exceeds the maximum number of tokens allowed (1048576).", context(1048576)),
    (
        "Please reduce the length of the messages or completion. Current length is 8200 while limit is 8192",
        context(8192),
    ),
    ("The prompt is too long: 5000, model maximum context length: 4096", context(4096)),
    ("Input tokens exceed the configured limit of 272000 tokens.", context(272000)),
    ("Your input exceeds the context window of this model. Please adjust your input.", context(None)),
    (
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas "
        "you provided "
        "100000.",
        invalid("max_tokens", "at most 16384"),
    ),
    # images, recordings, videos
    ("smollm2-135m-instruct is not a multimodal model", TEXT_ONLY),
    ("At most 1 image(s) may be provided in one prompt.", ONE_IMAGE),
    ("At most 1 image(s) may be provided in one request.", ONE_IMAGE),
    (
        "At most 4 audio(s) may be provided in one prompt.",
        invalid("messages", "audio in one request, at most 4"),
    ),
    ("At most 0 image(s) may be provided in one prompt.", NO_IMAGES),
    (
        "You set image=1 (or defaulted to 1) in `--limit-mm-per-prompt`, but passed 2 image items in the "
        "same prompt.",
        ONE_IMAGE,
    ),
    (
        "You set or defaulted to '{\"image\": 1}' in `--limit-mm-per-prompt`, but passed 96 image items.",
        invalid("messages", "fewer images, audio or video in one request"),
    ),
    ("Unknown image model type: llama", TEXT_ONLY),
    ("Unknown part type: image_url", TEXT_ONLY),
    ("Unsupported chat content part type: 'input_audio'. ", TEXT_ONLY),
    ("Failed to load image: cannot identify image file <_io.BytesIO object at 0x7f>", UNREADABLE),
    ("cannot identify image file <_io.BytesIO object at 0x7f>", UNREADABLE),
    (
        "Invalid or corrupted audio data. Ensure the input is a valid audio file.",
        invalid("messages", "The audio"),
    ),
    ("Incorrect padding", UNREADABLE),
    ("Invalid base64-encoded string: number of data characters (5) cannot be 1 more than", UNREADABLE),
    ("The URL must be from one of the allowed domains: ['a.example']. Input URL domain: b.example", NO_URL),
    ("404, message='Not Found', url='https://a.example/cat.png'", NO_URL),
    (
        "The decoder prompt contains a(n) image item with 20000 embedding tokens, which exceeds the "
        "pre-allocated "
        "encoder cache size 16384.",
        TOO_LARGE,
    ),
    ("Image dimensions 20000x20000 (400000000 pixels) exceed the maximum of 178956970 pixels.", TOO_LARGE),
    ("Image count 3 exceeds limit 1 per request.", ONE_IMAGE),
    ("Multimodal inputs are not supported when --language-model-only is set", TEXT_ONLY),
    ("An exception occurred while loading IMAGE data at index 0: cannot identify image file", UNREADABLE),
    (
        "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        NO_IMAGES,
    ),
    (
        "audio input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        invalid("messages", "takes no audio"),
    ),
    ("video input is not supported", invalid("messages", "takes no videos")),
    ("image input is not supported for this model", NO_IMAGES),
    ("Multimodal data provided, but model does not support multimodal requests.", TEXT_ONLY),
    ("Failed to load image or audio file", UNREADABLE),
    ("Invalid base64 value", UNREADABLE),
    ("Failed to download image", NO_URL),
    ("Input validation error: image modality is not supported", NO_IMAGES),
    ("Input validation error: base64 encoding is invalid: Invalid padding", UNREADABLE),
    ("Input validation error: Could not fetch image: error sending request", NO_URL),
    (
        "Input validation error: Image size 9000000 bytes exceeds maximum allowed size of 5000000 bytes",
        TOO_LARGE,
    ),
    ("this model only supports one image while more than one image requested", ONE_IMAGE),
    ("image URLs are not currently supported, please use base64 encoded data instead", NO_URL),
    ("invalid image input", UNREADABLE),
    ("Failed to create new sequence: this model is missing data required for image input", TEXT_ONLY),
    (
        "This model doesn't support the image field for user messages. Remove image and try again.",
        NO_IMAGES,
    ),
    (
        "The model returned the following errors: This model doesn't support the image content block that "
        "you "
        "provided. Update the content block and try again.",
        NO_IMAGES,
    ),
    ("Could not process image", UNREADABLE),
    ("messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 9 bytes > 5 bytes", TOO_LARGE),
    ("Invalid content type. image_url is only supported by certain models.", TEXT_ONLY),
    ("You uploaded an unsupported image. Please make sure your image is valid.", UNREADABLE),
    # tools
    (
        '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        TOOLS_OFF,
    ),
    ('tool_choice="required" requires --tool-call-parser to be set', TOOLS_OFF),
    ("tools param requires --jinja flag", TOOLS_OFF),
    ("tool_choice param requires --jinja flag", TOOLS_OFF),
    ("Unsupported param: tools", TOOLS_OFF),
    ("registry.ollama.ai/library/deepseek-r1:14b does not support tools", TOOLS_OFF),
    ("This model doesn't support tool use in streaming mode.", TOOLS_OFF),
    ("The tool specified in `tool_choice` does not match any of the specified `tools`", TOOL_CHOICE),
    ("When using `tool_choice`, `tools` must be set.", TOOL_CHOICE),
    ("tool_choice must either be a named tool, 'auto', or 'none'.", TOOL_CHOICE),
    ("Tools cannot be empty if tool choice is set to required.", TOOL_CHOICE),
    ("Tool 'weather' not found in tools list.", TOOL_CHOICE),
    ("Tool error: Tool with name weather not found", TOOL_CHOICE),
    ("Invalid tool_choice: sometimes", TOOL_CHOICE),
    ("Tool 0 function has invalid 'parameters' schema: 'x' is not valid", TOOLS),
    (
        "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: "
        "object.",
        TOOLS,
    ),
    ("Invalid schema for function 'f': In context=(), 'required' is required to be supplied", TOOLS),
    ("You can only either use constraints for structured outputs or tools, not both.", EITHER),
    ("You can only either use guided decoding or tools, not both.", EITHER),
    (
        "tool_choice 'required' or a named tool cannot be combined with response_format, regex, or ebnf",
        EITHER,
    ),
    ("Cannot use custom grammar constraints with tools.", EITHER),
    ("logprobs is not supported with tools + stream", LOGPROBS),
    # the order and the roles of messages
    ("Conversation roles must alternate user/assistant/user/assistant/...", ROLES),
    (
        "After the optional system message, conversation roles must alternate "
        "user/assistant/user/assistant/...",
        ROLES,
    ),
    (
        "Conversation roles must alternate user/assistant/user/assistant/... Conversation roles must "
        "alternate",
        ROLES,
    ),
    (
        "Template error: invalid operation: Conversation roles must alternate user/assistant/... (in "
        "<string>:1)",
        ROLES,
    ),
    (
        "While executing CallExpression at line 1, column 76 in source:\n...{{ raise_exception('x') }}...\n"
        "     ^\nError: Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/...",
        ROLES,
    ),
    ("A conversation must start with a user message. Try again with a conversation that does.", ROLES),
    ("System role not supported", NO_SYSTEM),
    ("Only user and assistant roles are supported!", NO_SYSTEM),
    ("This model doesn't support system messages. Try again without a system message.", NO_SYSTEM),
    (
        "While executing CallExpression at line 9, column 2 in source:\n...\nError: Jinja Exception: "
        "System message "
        "must be at the beginning.",
        SYSTEM_FIRST,
    ),
    ("Unexpected role 'tool' after role 'user'", HISTORY),
    (
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
        HISTORY,
    ),
    ("Assistant message must contain either 'content' or 'tool_calls'!", HISTORY),
    ("Cannot have 2 or more assistant messages at the end of the list.", HISTORY),
    ("Assistant tool call function.arguments must be valid JSON.", HISTORY),
    (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        "'tool_call_id'.",
        HISTORY,
    ),
    (
        "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat "
        "template",
        NO_TEMPLATE,
    ),
    ("An error occurred in `mistral_common` while applying chat template", TEMPLATE),
    ("jinja2.exceptions.TemplateError: something of a template's own", TEMPLATE),
    # schemas
    ("Grammar error: Invalid type: nonsense", SCHEMA),
    ('Grammar error: Unimplemented keys: ["propertyNames"]', SCHEMA),
    ("The provided JSON schema contains features not supported by xgrammar.", SCHEMA),
    ("Failed to transform json schema into a grammar: x", SCHEMA),
    ("Failed to initialize samplers: failed to parse grammar", SCHEMA),
    ("failed to parse grammar", SCHEMA),
    ("Unexpected empty grammar stack after accepting piece: x", SCHEMA),
    (
        "Unable to generate parser for this template. Automatic parser generation failed: JSON schema "
        "error at #: "
        "unrecognized type nonsense",
        SCHEMA,
    ),
    ('response_format type must be one of "text" or "json_object", but got: yaml', SCHEMA),
    ("Failed to compile json grammar: unsupported type", SCHEMA),
    ("Input validation error: grammar is not supported", SCHEMA),
    ("Input validation error: cannot compile regex from schema: x", SCHEMA),
    ('invalid format: "xml"; expected "json" or a valid JSON Schema object', SCHEMA),
    ("Invalid schema for response_format 'x': In context=(), 'type' is not permitted.", SCHEMA),
    # log-probabilities and choices
    ("Requested sample logprobs of 100, which is greater than max allowed: 20", TOP_LOGPROBS),
    ("Cannot request more than 20 logprobs.", TOP_LOGPROBS),
    ("Input validation error: `top_n_tokens` must be >= 0 and <= 20. Given: 30", TOP_LOGPROBS),
    ("top_logprobs must be between 0 and 20", TOP_LOGPROBS),
    ("logprobs are not supported with gpt-oss models", LOGPROBS),
    ("n must be 1 when using greedy sampling, got 2.", invalid("n", "one choice at temperature 0")),
    ("n must be at most 64, got 128.", invalid("n", "at most 64")),
    ("Only one completion choice is allowed", CHOICES),
    ("best_of must be 1 when using greedy sampling, got 4.", BEST_OF),
    ("Input validation error: `best_of` must be > 0 and <= 2. Given: 4", BEST_OF),
    ("Input validation error: you must use sampling when `best_of` is > 1", BEST_OF),
    # parameters
    (
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) is "
        "supported.",
        invalid("temperature", "Leave 'temperature' out", "unsupported_value"),
    ),
    (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
        unsupported("max_tokens", "does not take 'max_tokens'"),
    ),
    ("Unrecognized request argument supplied: top_k", unsupported("top_k", "'top_k'")),
    ("Unsupported param: logit_bias", unsupported("logit_bias", "'logit_bias'")),
    (
        "Failed to deserialize the JSON body into the target type: unknown field `min_p`, expected one of "
        "`model`",
        unsupported("min_p", "'min_p'"),
    ),
    (
        "Malformed input request: #: extraneous key [seed] is not permitted, please reformat your input "
        "and try again.",
        unsupported("seed", "'seed'"),
    ),
    (
        "litellm.UnsupportedParamsError: bedrock does not support parameters: ['logit_bias'], for model=x.",
        unsupported("logit_bias", "'logit_bias'"),
    ),
    ("Harmony does not support reasoning_effort='max'", REASONING),
    ('"llama3" does not support thinking', REASONING),
    ("logit_bias contains key(s) that cannot be converted", invalid("logit_bias", "'logit_bias'")),
    ("top_p must be in (0, 1], got 2.0. (parameter=top_p, value=2.0)", value("top_p")),
    ("Input validation error: `top_p` must be > 0.0 and < 1.0", value("top_p")),
    ("temperature must be a non-negative finite number, got -1.", value("temperature")),
    ("top_logprobs requires logprobs to be set to true", value("top_logprobs")),
    ("'messages' is required", value("messages")),
    ("stop cannot contain an empty string.", value("stop")),
    ("Input validation error: `stop` supports up to 4 stop sequences. Given: 5", value("stop")),
    (
        "Field 'presence_penalty': Value must be between -2 <= value <= 2, but got 9",
        value("presence_penalty"),
    ),
    (
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 200 instead.",
        value("temperature"),
    ),
    ("Invalid value: 'loud'. Supported values are: 'low', 'medium', and 'high'.", REJECTED),
    # tokens
    ("Prompt contains invalid tokens", TOKENS),
    ("Token id 200000 is out of vocabulary", TOKENS),
    ("The decoder prompt cannot be empty", EMPTY),
    ("Input validation error: `inputs` cannot be empty", EMPTY),
    # models
    ("The model `other` does not exist.", MODEL),
    ("LoRA adapter 'sql' does not exist", MODEL),
    ("Loading lora sql failed: No adapter found for /x", MODEL),
    ("model 'llama9' not found", MODEL),
    ('model "llama9" not found, try pulling it first', MODEL),
    ("model name=llama9 is not found", MODEL),
    (
        "Invalid model name passed in model=gpt-9. Call `/v1/models` to view available models for your key.",
        MODEL,
    ),
    ("The provided model identifier is invalid.", MODEL),
    ("The API deployment for this resource does not exist.", MODEL),
    ("The model does not support Chat Completions API", NO_CHAT),
    ('"nomic-embed-text" does not support chat', NO_CHAT),
    # refused
    (
        "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. "
        "Please "
        "modify your prompt and retry.",
        FILTERED,
    ),
    ("Output blocked by content filtering policy", FILTERED),
    ("litellm.ContentPolicyViolationError: AzureException - x", FILTERED),
    # hosted APIs: images and tools
    ("Only 'text' content type is supported.", TEXT_ONLY),
    ("image_url is not supported by this model", TEXT_ONLY),
    ("multimodal processing is not enabled for this model", TEXT_ONLY),
    ("This model does not support image input", TEXT_ONLY),
    ("The image data you provided does not represent a valid image.", UNREADABLE),
    ("Unable to process input image. Please retry or report in the forum", UNREADABLE),
    ("The model does not support function calling", TOOLS_OFF),
    # hosted APIs: the context
    ("This model's maximum prompt length is 131072 but the request contains 537812 tokens", context(131072)),
    (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about 150211 "
        "tokens.",
        context(131072),
    ),
    (
        "This model's maximum context length is 1,048,576 tokens. However, you requested 2,000 output tokens",
        context(1048576),
    ),
    (
        "'max_tokens' is too large: 2,000. This model's maximum context length is 1,000,000 tokens",
        context(1000000),
    ),
    ("prompt token count of 200000 exceeds the limit of 128000", context(128000)),
    ("Your request exceeded model token limit: 131072 (requested: 265330)", context(131072)),
    ("invalid params, context window exceeds limit (2013)", context(None)),
    ("Range of input length should be [1, 129024]", context(129024)),
    ("Input length 300000 exceeds the maximum allowed input length of 262144 tokens.", context(262144)),
    ("Prompt has 5000 tokens, but the configured context size is 4096 tokens", context(4096)),
    (
        "Prompt contains 265330 tokens, which is too large for model with 131072 maximum context length",
        context(131072),
    ),
    ("tokens to keep from the initial prompt is greater than the context length", context(None)),
    ("input is too long for requested model", context(None)),
    # hosted APIs, and templates
    ("Input prompt is too big compared to KV size. Please try increasing KV size.", context(None)),
    ("Prompt length (4097) exceeds maximum input length (4096). Set log level", context(4096)),
    ("The prompt is too long.", context(None)),
    ("Your request exceeds the model's maximum context length.", context(None)),
    ("Context length exceeded", context(None)),
    ("messages[0].content must be a string", TEXT_ONLY),
    (
        "Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, "
        "expected `text` at line 1 column 70",
        TEXT_ONLY,
    ),
    ("No endpoints found that support image input", NO_IMAGES),
    ("No endpoints found that support tool use. To learn more about provider routing", TOOLS_OFF),
    ("`tools` is not supported with this model", TOOLS_OFF),
    ("tool calling is not supported with this model", TOOLS_OFF),
    ("deepseek-reasoner does not support Function Calling", TOOLS_OFF),
    ("Function calling is not enabled for this model", TOOLS_OFF),
    (
        "Only user and assistant roles are supported, with the exception of an initial optional system "
        "message!",
        ROLES,
    ),
    ("Tool call IDs should be alphanumeric strings with length 9!", HISTORY),
    ("Message has tool role, but there was no previous assistant message with a tool call!", HISTORY),
    ("Only user, assistant and tool roles are supported, got developer.", TEMPLATE),
    ("Unexpected content type.", TEMPLATE),
    ("System message cannot contain images.", TEMPLATE),
    ("Found more '<image>' placeholders in input prompt than actual multimodal data items.", TEMPLATE),
    ("No messages provided.", EMPTY),
    ("This response_format type is unavailable now", SCHEMA),
    (
        "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
        "'json_object'.",
        invalid("messages", "the word JSON"),
    ),
    ("No endpoints found for openai/gpt-9.", MODEL),
    # full, starting, limited
    (
        "The engine is currently busy and cannot accept new requests. Please try again later or on a "
        "different "
        "instance.",
        BUSY,
    ),
    ("The request queue is full.", BUSY),
    ("Model is overloaded", BUSY),
    ("server busy, please try again.  maximum pending requests exceeded", BUSY),
    ("Server overloaded, please retry shortly (ref: aaa65c70)", BUSY),
    ("unexpected server status: llm busy - no slots available", BUSY),
    ("Overloaded", BUSY),
    ("That model is currently overloaded with other requests. You can retry your request.", BUSY),
    ("Bedrock is unable to process your request.", BUSY),
    ("You don't have access to the model with the specified model ID.", NO_ACCESS),
    ("The model is unsupported for streaming.", NO_STREAM),
    ("Loading model", LOADING),
    ("Model is not ready for inference. Please wait and try again.", LOADING),
    ("Too many tokens, please wait before trying again.", LIMITED),
    (
        "An error occurred (ThrottlingException) when calling the InvokeModel operation (reached max "
        "retries: 4): "
        "Too many requests, please wait before trying again.",
        LIMITED,
    ),
    ("Rate limit exceeded: free-models-per-day", LIMITED),
    ("Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 3, Used 3", LIMITED),
    ("litellm.RateLimitError: RateLimitError: OpenAIException - x", LIMITED),
    ("You exceeded your current quota, please check your plan and billing details.", QUOTA),
    ("Budget has been exceeded! Current cost: 2.0, Max budget: 1.0", QUOTA),
    ("Request running timeout reached.", TIMEOUT),
    ("upstream request timeout", TIMEOUT),
    ("litellm.Timeout: APITimeoutError - Request timed out.", TIMEOUT),
    # hosted APIs: what else they refuse
    ("tokens in request more than max tokens allowed", context(None)),
    (
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
        context(4081),
    ),
    (
        "too many tokens: size limit exceeded by 3421 tokens. Try using shorter or fewer inputs.",
        context(None),
    ),
    ("total tokens exceeds the model's max of 4096", context(4096)),
    (
        "Invalid input argument for Model 'x/y': the number of input tokens 4098 cannot exceed the total "
        "tokens limit 4096 for this model",
        context(4096),
    ),
    ("The number of tokens (5000) exceeds the maximum context length (4096)", context(4096)),
    ("Context length 5000 is greater than max_seq_len 4096", context(4096)),
    (
        "LLM request rejected: input length and `max_tokens` exceed context limit: 170636 + 34048 > 200000",
        context(200000),
    ),
    ("Please reduce the length of the prompt.", context(None)),
    ("Prompt is too long", context(None)),
    ("The prompt size exceeds the context window size and cannot be processed.", context(None)),
    ("Input exceeds the max input token limit", context(None)),
    ("ollama: context length exceeded for llama3", context(None)),
    ("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]", context(30720)),
    (
        "<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]",
        invalid("max_tokens", "at most 8192"),
    ),
    (
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        invalid("max_tokens", "at most 8192"),
    ),
    (
        "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for x",
        invalid("max_tokens", "at most 64000"),
    ),
    ("image_url is only supported by certain models.", TEXT_ONLY),
    ("Model does not support image content", TEXT_ONLY),
    (
        "Too many images provided. This model supports up to 5 images",
        invalid("messages", "fewer images in one request, at most 5"),
    ),
    ("tools is not supported in this model. For supported models, see x", TOOLS_OFF),
    ("`logprobs` is not supported with this model", LOGPROBS),
    ("messages.2: `tool_use` ids were found without `tool_result` blocks immediately after: x", HISTORY),
    ("messages.0.content.1: unexpected `tool_use_id` found in `tool_result` blocks: x", HISTORY),
    ("This model does not support assistant message prefill. The conversation must end with y.", HISTORY),
    ("Please ensure that function response turn comes immediately after a function call turn.", HISTORY),
    ("The reasoning_content in the thinking mode must be passed back to the API.", HISTORY),
    ("Json mode is not supported for this model", SCHEMA),
    ("Only n=1 is supported", CHOICES),
    ("property 'logit_bias' is unsupported", unsupported("logit_bias", "does not take 'logit_bias'")),
    (
        "Extra inputs are not permitted, field: 'parallel_tool_calls', value: False",
        unsupported("parallel_tool_calls", "does not take 'parallel_tool_calls'"),
    ),
    ("Prompt must contain the word 'json' in some form.", invalid("messages", "contain the word JSON")),
    ("'n' : number must be at most 1", value("n")),
    (
        "json: cannot unmarshal string into Go struct field ChatCompletionRequest.seed of type int",
        value("seed"),
    ),
    ("property 'messages.0.name' is unsupported, did you mean 'role'?", invalid("messages", "as invalid")),
    (
        "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'x')]",
        invalid("messages", "as invalid"),
    ),
    ("messages: text content blocks must be non-empty", invalid("messages", "as invalid")),
    ("API key not valid. Please pass a valid API key.", upstream("service's own credentials")),
    ("Model Not Exist", MODEL),
    ("x/y is not a valid model ID", MODEL),
    ("The model `x` has been decommissioned and is no longer supported.", MODEL),
    ("Input data may contain inappropriate content.", FILTERED),
    ("Content Exists Risk", FILTERED),
    ("Your chosen model requires moderation and your input was flagged", FILTERED),
    ("Insufficient Balance", QUOTA),
    ("This request requires more credits, or fewer max_tokens.", QUOTA),
    (
        "Failed to call a function. Please adjust your prompt.",
        upstream("could not read what its model wrote"),
    ),
    # other versions
    ("The encoder prompt (length 1600) is longer than the maximum encoder length of 1500", context(1500)),
    ("Input length (9000) exceeds context length (8192)", context(8192)),
    ('"required" tool choice requires --tool-call-parser to be set', TOOLS_OFF),
    ("Model does not support tools", TOOLS_OFF),
    ('tool_choice = "required" is not supported!', TOOL_CHOICE),
    ("Audio input is not supported", invalid("messages", "takes no audio")),
    ("broken PNG file (chunk b'xx')", UNREADABLE),
    ("Failed to parse grammar", SCHEMA),
    ("You can only use one kind of guided decoding ('guided_json' or 'guided_regex').", SCHEMA),
    ('"messages" is required', value("messages")),
    ('think value "high" is not supported for this model', REASONING),
    ("Failed to parse messages: Missing 'content'; messages = []", invalid("messages", "as invalid")),
    ("invalid message content type: map[string]interface {}", invalid("messages", "as invalid")),
    ("Failed to parse tools: [json.exception.type_error.302]", TOOLS),
    (
        "1 validation error detected: Value '100000' at 'inferenceConfig.maxTokens' failed to satisfy x",
        invalid("max_tokens", "generates fewer tokens"),
    ),
    # what the engine does not serve
    ("This server does not support embeddings. Start it with `--embeddings`", NOT_SERVED),
    ("The model does not support Embeddings API", NOT_SERVED),
    ("Not Found", NOT_SERVED),
    ("404 page not found", NOT_SERVED),
    (
        "Model 'all-minilm-l6-v2' does not support Matryoshka embeddings; dimensions must be unset (received "
        "dimensions=64).",
        DIMENSIONS,
    ),
    (
        'Model "arctic" only supports [256] matryoshka dimensions, use other output dimensions will lead to '
        "poor results.",
        DIMENSIONS,
    ),
    ("This model does not support specifying dimensions.", DIMENSIONS),
    # the engine has failed
    ("CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; 31.75 GiB total capacity)", MEMORY),
    ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 MiB", MEMORY),
    ("Request failed during generation: Server error: CUDA out of memory. Tried", MEMORY),
    ("Retraction host KV pool exhausted. Aborting the request.", MEMORY),
    ("model requires more system memory (8.4 GiB) than is available (4.2 GiB)", MEMORY),
    ("EngineCore encountered an issue. See stack trace (above) for the root cause.", DEAD),
    ("Background loop has errored already.", DEAD),
    ("model runner has unexpectedly stopped, this may be due to resource limitations", DEAD),
    ("llama runner process has terminated: exit status 2", DEAD),
    ("Failed to parse input at pos 7: <|channel|>", upstream("could not read what its model wrote")),
    ("cannot schedule new futures after shutdown", upstream("is shutting down")),
)
