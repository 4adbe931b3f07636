"""How engines word their errors: recorded from their sources and from public reports, as data.

A pattern is matched at the beginning of an engine's own sentence, so that no word of a prompt that it quotes
can match. The first that matches decides: the special stands before the general. To add one: a row here, and
its recorded text with the right answer in `tests/unit/chat/engines/texts.py`.

Shape:  groups name what our own text says: `size` (of the context), `most`, `what` (a medium), `param`.
Source: `<engine>; <repository>#<issue or pull request>`, or `<engine> <version> <file>`, read 2026-11-26.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_PARAM = r"[`'\"]?(?P<param>[a-z_]{1,40})[`'\"]?"
# A model's name as Ollama shows it: quoted, or with its registry or its tag.
_NAME = r"(?:['\"][^'\"\n]{1,200}['\"]|[\w.-]{1,80}[/:][\w./:-]{0,200}\w)"
# What may follow a sentence that begins with a name: nothing, or what quotes it.
_END = r"(?=$|[\s\"'.,}\\])"
_WHAT = r"(?P<what>image|audio|video)"
_VLLM_TOO_LONG = r"(?:The )?(?:decoder |encoder )?[Pp]rompt (?:\(length \d+\)|length of \d+)"

# By kind (`errors.py`): where a wording was seen, and the pattern.
WORDINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "context": (
        (
            "vllm#20409",
            r"(?:This (?:model|endpoint)'s )?maximum (?:context|prompt) length is (?P<size>[\d,]*\d)",
        ),
        (
            "vllm#21391",
            r"'max_tokens'(?: or 'max_completion_tokens')? is too large: [\d,]+\. "
            r"(?:This model's )?maximum context length is (?P<size>[\d,]*\d)",
        ),
        (
            "vllm 0.32.0 renderers/params.py",
            r"\w{1,40}=\d+ cannot be greater than \w{1,40}=(?P<size>[\d,]*\d)",
        ),
        (
            "vLLM; thu-coai/Glyph#9",
            _VLLM_TOO_LONG + r" (?:plus the number of requested output tokens \(at least 1\) )?"
            r"is longer than the maximum (?:model|encoder) length of (?P<size>[\d,]*\d)",
        ),
        (
            "vllm#12165",
            r"The (?:\w+ )?prompt \(total length \d+\) is too long to fit into the model "
            r"\(context length (?P<size>[\d,]*\d)\)",
        ),
        (
            "vllm 0.16.0 renderers/params.py",
            r"You passed \d+ input (?:tokens|characters)(?: and requested \d+ output tokens)?\. "
            r"However, the model's context length is only (?P<size>[\d,]*\d)",
        ),
        (
            "vllm 0.33.0 api_utils.py",
            r"Input length \(\d+\) exceeds model's maximum context length \((?P<size>[\d,]*\d)\)",
        ),
        ("vllm#4667", r"max_tokens must be at least 1, got -\d+"),
        (
            "vllm#10440",
            r"Input prompt \(\d+ tokens\) is too long and exceeds (?:the )?(?:capacity|limit) of "
            r"(?P<size>[\d,]*\d)",
        ),
        (
            "sglang#8096",
            r"The input \(\d+ tokens\) is longer than the model's context length \((?P<size>[\d,]*\d) "
            r"tokens\)",
        ),
        (
            "sglang 0.5.23 managers/tokenizer_manager.py",
            r"Requested token count exceeds the model's maximum context length of (?P<size>[\d,]*\d)",
        ),
        (
            "sglang 0.5.23 managers/utils.py",
            r"Input length \(\d+(?: tokens)?\) exceeds (?:the maximum allowed|context) length "
            r"\((?P<size>[\d,]*\d)",
        ),
        (
            "sglang 0.5.23 managers/scheduler.py",
            r"Multimodal prompt is too long after expanding|Request prompt exceeds the KV memory budget",
        ),
        (
            "llama.cpp#19774",
            r"(?:the )?request (?:\(\d+ tokens\) )?exceeds the available context size"
            r"(?: \((?P<size>[\d,]*\d) tokens\))?",
        ),
        (
            "llama.cpp b11549 server-context.cpp",
            r"input \(\d+ tokens\) is larger than the max context size \((?P<size>[\d,]*\d) tokens\)",
        ),
        (
            "llama.cpp b11549 server-context.cpp",
            r"input(?: \(\d+ tokens\))? is too large to process\. increase the physical batch size"
            r"(?: \(current batch size: (?P<size>[\d,]*\d)\))?",
        ),
        ("llama.cpp#19774", r"Context size has been exceeded|context shift is disabled"),
        (
            "llama-cpp-python#416",
            r"Requested tokens \(\d+\) exceed context window of (?P<size>[\d,]*\d)",
        ),
        (
            "LM Studio; lmstudio-bug-tracker#2339",
            r"Trying to keep the first \d+ tokens when context (?:the )?overflows\. "
            r"However, the model is loaded with context length of only (?P<size>[\d,]*\d)",
        ),
        (
            "tgi#628",
            r"`inputs` tokens \+ `max_new_tokens` must be <= (?P<size>[\d,]*\d)",
        ),
        ("tgi#937", r"`inputs` must have less than (?P<size>[\d,]*\d) tokens"),
        (
            "ollama 2026-08-21 llm/llama_server.go, server/routes.go",
            r"(?:the )?(?:prompt is longer than|input (?:length |after truncation )?exceeds) "
            r"(?:the |maximum )?context length|prompt too long; exceeded max context length",
        ),
        ("Bedrock; aws-samples/bedrock-chat#95", r"[Ii]nput is too long(?: for requested model)?"),
        (
            "Bedrock; litellm 1.110.2",
            r"Too many input tokens(?:\. Max input tokens: (?P<size>[\d,]*\d))?|expected maxLength: \d+",
        ),
        ("Anthropic; litellm#7259", r"prompt is too long: \d+ tokens > (?P<size>[\d,]*\d) maximum"),
        (
            "Anthropic; BrokkAi/brokk-app#540",
            r"input length and `max_tokens` exceed context limit: \d+ \+ \d+ > (?P<size>[\d,]*\d)",
        ),
        (
            "Mistral; litellm 1.110.2",
            r"Prompt contains \d+ tokens,? (?:and \d+ draft tokens, |this is |which is )?too large for "
            r"model with (?P<size>[\d,]*\d) "
            r"maximum context length",
        ),
        (
            "Gemini; litellm#18282",
            r"(?:Unable to submit request because )?[Tt]he input token count (?:\(\d+\) |is \d+ )?"
            r"(?:but model only supports up to|exceeds the maximum number of tokens allowed) "
            r"\(?(?P<size>[\d,]*\d)",
        ),
        (
            "Cerebras, Groq; litellm 1.110.2",
            r"Please reduce the length of the (?:messages or completion|messages|prompt|input)"
            r"(?:\. Current length is \d+ while limit is (?P<size>[\d,]*\d))?",
        ),
        (
            "Fireworks; litellm 1.110.2",
            r"The prompt is too long: \d+, model maximum context length: (?P<size>[\d,]*\d)",
        ),
        (
            "OpenAI; litellm#18927",
            r"(?:Your )?[Ii]nput (?:tokens )?exceeds? the (?:configured limit of (?P<size>[\d,]*\d)"
            r"|context window of this model)",
        ),
        ("llama.cpp b3600 server.cpp", r"Input prompt is too big compared to KV size"),
        ("TensorRT-LLM 1.0", r"Prompt length \(\d+\) exceeds maximum input length \((?P<size>[\d,]*\d)\)"),
        ("Copilot; clients' tests", r"prompt token count of [\d,]+ exceeds the limit of (?P<size>[\d,]*\d)"),
        ("Kimi; clients' tests", r"Your request exceeded model token limit: (?P<size>[\d,]*\d)"),
        ("MiniMax; clients' tests", r"invalid params, context window exceeds limit"),
        (
            "DashScope; clients' tests",
            r"(?:<\d+> \S{1,60}: )?Range of input length should be \[1, (?P<size>[\d,]*\d)\]",
        ),
        (
            "Poolside; clients' tests",
            r"Input length [\d,]+ exceeds the maximum allowed input length of (?P<size>[\d,]*\d)",
        ),
        (
            "DwarfStar; clients' tests",
            r"Prompt has [\d,]+ tokens, but the configured context size is (?P<size>[\d,]*\d)",
        ),
        (
            "LM Studio; clients' tests",
            r"(?:The number of )?tokens to keep from the initial prompt is greater than the context length",
        ),
        (
            "GLM; opencode#35920",
            r"tokens in request more than max tokens allowed",
        ),
        (
            "Cohere; openclaw#58839",
            r"too many tokens: (?:total number of tokens in the prompt cannot exceed (?P<size>[\d,]*\d)"
            r"|size limit exceeded)",
        ),
        (
            "Cohere; openclaw#58839; watsonx; clients' tests",
            r"(?:[Tt]otal|[Tt]he number of|[Tt]he total number of) (?:input )?tokens (?:in the prompt )?"
            r"(?:\(?\d+\)? )?(?:cannot )?exceeds? the "
            r"(?:model's max|total tokens limit|limit|maximum context length)"
            r"(?: of)? \(?(?P<size>[\d,]*\d)",
        ),
        (
            "TabbyAPI backends/exllamav2/model.py",
            r"(?:Prompt|Context) length \d+ is greater than max_seq_len (?P<size>[\d,]*\d)",
        ),
        (
            "various",
            r"(?:[Yy]our |[Tt]he )?(?:[Pp]rompt|[Ii]nput|request)(?: length| size| tokens?)? "
            r"(?:is too (?:long|large)|exceeds? (?:the )?(?:model'?s? )?(?:max(?:imum)? )?"
            r"(?:context|input token))|[Cc]ontext (?:length|window|size)(?: has been| is)? exceeded"
            r"|context_length_exceeded",
        ),
    ),
    "max_tokens": (
        ("TGI; transformers#28523", r"`max_new_tokens` must be <= (?P<most>\d+)"),
        (
            "Bedrock; RooCodeInc/Roo-Code#248",
            r"The maximum tokens you requested exceeds? the model limit of (?P<most>\d+)",
        ),
        (
            "openai 2026",
            r"max_tokens is too large: \d+\. This model supports at most (?P<most>\d+) completion tokens",
        ),
        (
            "DeepSeek; clients' tests",
            r"Invalid max_tokens value, the valid range of max_tokens is \[1, (?P<most>\d+)",
        ),
        (
            "DashScope; clients' tests",
            r"Range of max_tokens should be \[1, (?P<most>\d+)",
        ),
        (
            "Bedrock, Anthropic; clients' tests",
            r"\d+ validation errors? detected: Value '\d{1,20}' at 'inferenceConfig\.maxTokens'"
            r"|max_tokens: \d+ > (?P<most>\d+), which is the maximum",
        ),
    ),
    "text_only": (
        ("vllm#23402", rf"[\w./:@-]{{1,200}} is not a multimodal model{_END}"),
        (
            "vllm 0.5.5 entrypoints/chat_utils.py",
            rf"Unknown (?:{_WHAT} )?model type: \S{{1,80}}|(?:Unknown|Unsupported) (?:chat content "
            rf")?part type: "
            r"'?(?:image|audio|video|input_audio|input_image|file)",
        ),
        ("sglang 0.5.23 managers/tokenizer_manager.py", r"Multimodal inputs are not supported"),
        (
            "llama.cpp b11549 server-common.cpp",
            r"Multimodal data provided, but model does not support|unsupported content\[\]\.type"
            r"|The current model does not support (?P<what>audio) input|This server does not "
            r"support multimodal",
        ),
        (
            "ollama 0.11 model/model.go",
            r"this model is missing data required for image input"
            rf"|{_NAME} does not support (?:images?|vision){_END}",
        ),
        (
            "openai 2026",
            r"Invalid content type\. image_url is only supported by certain models",
        ),
        (
            "Groq, DeepSeek; litellm 1.110.2",
            r"messages\[\d+\]\.content must be a string|unknown variant `(?:image_url|input_audio)`",
        ),
        (
            "hosted APIs; clients' tests",
            r"Only '?text'? content type is supported|(?:image_url|image content|(?:multimodal"
            r"|vision)(?: content| input)?) "
            r"is not supported|multimodal processing is not enabled"
            r"|[Tt]h(?:is|e) model (?:does not|doesn't) support (?:image|vision|multimodal)",
        ),
        (
            "hosted APIs; litellm 1.110.2",
            r"image_url is only supported by certain models"
            r"|Model does not support (?:image|vision|multimodal)",
        ),
    ),
    "too_many_media": (
        (
            "vllm#9739, vllm#13513",
            rf"At most (?P<most>\d+) {_WHAT}(?:\(s\)|s)? may be provided in one (?:prompt|request)",
        ),
        (
            "vllm 0.9.2 multimodal/processing.py",
            rf"You set (?:{_WHAT}=(?P<most>\d+) \(or defaulted to 1\)|or defaulted to \S{{1,60}} "
            rf"?\S{{1,60}}) "
            r"in `--limit-mm-per-prompt`",
        ),
        (
            "sglang 0.5.23 managers/tokenizer_manager.py",
            r"(?P<what>Image|Video|Audio) count \d+ exceeds limit (?P<most>\d+) per request",
        ),
        (
            "ollama 2026-08-21 server/prompt.go",
            r"this model only supports (?P<most>one) (?P<what>image)",
        ),
        (
            "Groq; clients' tests",
            r"Too many (?P<what>image)s provided\. This model supports up to (?P<most>\d+)",
        ),
    ),
    "media_invalid": (
        (
            "vllm 0.33.0 multimodal/media/image.py",
            rf"(?:Failed to load {_WHAT}|cannot identify image file|image file is truncated|broken "
            rf"data stream|broken PNG file|Decompressed data too large)",
        ),
        (
            "vllm 0.33.0 multimodal/media/audio.py",
            r"Invalid or (?:corrupted|unsupported) (?P<what>audio)",
        ),
        (
            "vllm 0.33.0 multimodal/media/connector.py",
            rf"Only base64 data URLs are supported|Incorrect padding{_END}|Invalid base64-encoded string"
            r"|Non-base64 digit found",
        ),
        (
            "sglang 0.5.23 multimodal/processors",
            r"An exception occurred while loading (?P<what>IMAGE|AUDIO|VIDEO|multimodal)|Error "
            r"while loading data ",
        ),
        (
            "llama.cpp b11549 server-common.cpp",
            r"Failed to load image or audio file|Invalid (?:uri-encoded )?base64 value|Invalid uri format"
            r"|uri must be base64 encoded",
        ),
        (
            "tgi 2026-01-08 validation.rs",
            r"base64 encoding is invalid|invalid image|Failed to read image data",
        ),
        ("ollama 2026-08-21 openai/openai.go", rf"invalid image input{_END}|invalid input_audio"),
        ("Bedrock; litellm 1.110.2", r"Could not process (?P<what>image)"),
        (
            "openai 2026",
            r"You uploaded an unsupported (?P<what>image)|Invalid (?:base64 )?(?:image_url|image data)",
        ),
        (
            "OpenAI, Gemini; clients' tests",
            r"The image data you provided does not represent|(?:Unable|Failed) to (?:process|decode) "
            r"(?:the )?(?:input )?"
            r"(?P<what>image)|Invalid (?:input )?image\b",
        ),
    ),
    "media_url": (
        (
            "vllm 0.33.0 multimodal/media/connector.py",
            r"The URL must be from one of the allowed domains|Cannot load local files without"
            r"|Invalid 'url': |\d{3}, message=",
        ),
        (
            "llama.cpp b11549 server-common.cpp",
            r"Failed to download image|file:// URLs are not allowed",
        ),
        ("tgi 2026-01-08 validation.rs", r"Could not fetch image"),
        ("ollama 2026-08-21 openai/openai.go", r"image URLs are not currently supported"),
    ),
    "media_too_large": (
        (
            "vllm 0.33.0 v1/engine/input_processor.py",
            rf"The (?:decoder|encoder) prompt contains a\(n\) {_WHAT} item with \d+ embedding tokens",
        ),
        (
            "vllm 0.33.0 multimodal/media",
            r"Image dimensions \d+x\d+|Request decoded media exceeds|Audio exceeds maximum allowed duration"
            r"|Audio decode exceeded|Maximum file size exceeded",
        ),
        ("tgi 2026-01-08 validation.rs", r"Image size \d+ bytes exceeds"),
        (
            "Anthropic; litellm 1.110.2 llms/bedrock",
            r"messages\.\d+\.[\w.]{1,80}: image exceeds|image exceeds \d+ MB maximum",
        ),
    ),
    "no_media": (
        (
            "llama.cpp, SGLang; llama.cpp b11549 server-common.cpp",
            r"(?P<what>[Ii]mage|[Aa]udio|[Vv]ideo) input is not supported",
        ),
        ("tgi 2026-01-08 validation.rs", rf"{_WHAT} modality is not supported"),
        (
            "Bedrock; AWS, Converse",
            rf"This model doesn't support the {_WHAT}",
        ),
        ("OpenRouter; litellm 1.110.2", rf"No endpoints found that support {_WHAT} input"),
    ),
    "tools_off": (
        ("vllm#9986", r"[\"'`]?(?:auto|required)[\"'`]? tool choice requires --"),
        (
            "vllm 0.12.0 serving_chat.py",
            r"tool_choice ?= ?[\"'`]?\w{1,20}[\"'`]? requires --tool-call-parser",
        ),
        (
            "llama.cpp; QwenLM/Qwen3.8#44, defilantech/LLMKube#126",
            rf"(?:tools|tool_choice) param requires --jinja|Unsupported param: (?:tools|tool_choice){_END}",
        ),
        ("ollama#14795, pydantic-ai#703", rf"{_NAME} does not support tools{_END}"),
        ("Bedrock; litellm 1.110.2 llms/bedrock", r"This model doesn't support tool use"),
        ("OpenRouter; litellm 1.110.2", r"No endpoints found that support tool use"),
        (
            "Groq, DeepSeek, Mistral; litellm 1.110.2",
            r"[`']?[Tt]ool(?:s| calling| use|_choice)?[`']? (?:is|are) not supported (?:with|by|for|in) "
            r"this model"
            r"|[\w./:@-]{1,200} does not support Function Calling|Function calling is not enabled",
        ),
        (
            "hosted APIs; clients' tests",
            r"(?:[Tt]h(?:is|e) model|Model) (?:does not|doesn't) support (?:tool|function)",
        ),
    ),
    "tool_choice": (
        (
            "vllm 0.33.0 chat_completion/protocol.py",
            r"The tool specified in `tool_choice` does not match|When using `tool_choice`, `tools` "
            r"must be set"
            r"|Invalid value for `tool_choice`|Tool '[^'\n]{1,80}' has not been passed in `tools`"
            r"|Expected field `(?:function|name)` in |tool_choice requires a function call",
        ),
        (
            "vllm#12834",
            r"`?tool_choice`? must either be a named tool|Only named tools, "
            r"|tool_choice ?= ?[\"'`]?required[\"'`]? is not supported",
        ),
        (
            "sglang 0.5.23 serving_chat.py",
            r"Tools cannot be empty if tool choice is set|Tool '[^'\n]{1,80}' not found in tools list",
        ),
        ("llama.cpp b11549 common/chat.cpp", r"Invalid tool_choice"),
        ("tgi 2026-01-08 infer/tool_grammar.rs", r"Tool with name \S{1,80} not found"),
    ),
    "format_or_tools": (
        (
            "vllm 0.33.0 chat_completion/protocol.py",
            r"You can only either use (?:constraints for structured outputs|guided decoding) or "
            r"tools, not both",
        ),
        (
            "sglang 0.5.23 protocol.py",
            r"tool_choice 'required' or a named tool cannot be combined",
        ),
        (
            "llama.cpp b11549 server-common.cpp",
            r"Cannot (?:use|specify) custom grammar constraints with tools"
            r"|Cannot use both json_schema and grammar|Either \"json_schema\" or \"grammar\" can be "
            r"specified",
        ),
    ),
    "tools_schema": (
        (
            "sglang 0.5.23 serving_chat.py",
            r"Tool \d+ function |Tool names must be unique|Failed to parse tools: ",
        ),
        (
            "Bedrock; litellm 1.110.2 llms/bedrock",
            r"The value at toolConfig|toolConfig\.|The toolConfig field",
        ),
        ("openai 2026", r"Invalid schema for function "),
    ),
    "logprobs": (
        (
            "llama.cpp b11549 server-common.cpp",
            r"logprobs is not supported with tools",
        ),
        (
            "vLLM, SGLang, OpenAI; vllm 0.33.0 responses/serving.py",
            r"logprobs are not supported|You are not allowed to request logprobs",
        ),
        (
            "Groq, Gemini; clients' tests",
            r"[`'\"]?(?:top_)?logprobs[`'\"]? is not supported",
        ),
    ),
    "roles": (
        (
            "chat template; microsoft/autogen#1037, vllm#6862",
            r"(?:After the optional system message, )?[Cc]onversation roles must alternate"
            r"|Roles must alternate|roles must alternate between",
        ),
        (
            "Bedrock, Anthropic; litellm 1.110.2",
            r"A conversation must (?:start|end) with a user message|messages: roles must alternate"
            r"|Conversation blocks and tool result blocks cannot be provided in the same turn",
        ),
        (
            "chat template; llama.cpp b11549 models/templates",
            r"Only user and assistant roles are supported, with the exception",
        ),
    ),
    "no_system": (
        (
            "chat template; vllm#2964, sglang#892",
            r"System role (?:is )?not supported|Only user and assistant roles are supported",
        ),
        (
            "Bedrock; AWS, Converse",
            r"This model doesn't support system (?:messages|prompts)",
        ),
    ),
    "system_first": (
        (
            "chat template; Mangi-11/Eta#59",
            r"System message must be at the (?:beginning|start)|Unexpected role '?system'? after role",
        ),
    ),
    "history": (
        (
            "chat template, Mistral; tgi 2026-01-08 infer/chat_template.rs; mistral-common 1.8",
            r"Unexpected role '|Expected last role |Not the same number of function calls and responses"
            r"|Tool call id was |This model only supports single tool-calls|Cannot put tools in the "
            r"first user"
            r"|No user query found in messages|Cannot use chat template functions because",
        ),
        (
            "llama.cpp b11549 server-common.cpp",
            r"Assistant message must contain|All non-assistant messages must contain"
            r"|Cannot have 2 or more assistant messages|Cannot continue an assistant message"
            r"|Assistant response prefill is incompatible",
        ),
        (
            "sglang 0.5.23 serving_chat.py",
            r"Assistant tool call function\.arguments must be",
        ),
        (
            "openai 2026",
            r"An assistant message with 'tool_calls' must be followed by tool messages"
            r"|Invalid parameter: messages with role 'tool' must be a response",
        ),
        (
            "chat template; llama.cpp b11549 models/templates",
            r"Tool call IDs should be|Message has tool role, but|Tool message outside of|Cannot pass "
            r"both content and "
            r"thinking|Cannot have both tool outputs",
        ),
        (
            "Anthropic; litellm 1.110.2",
            r"(?:messages\.\d+(?:\.content\.\d+)?: )?(?:unexpected )?`?tool_use(?:_id)?`? "
            r"(?:ids were found without|found in)"
            r"|This model does not support assistant message prefill",
        ),
        (
            "Gemini, DeepSeek; clients' tests",
            r"Please ensure that (?:the number of )?function (?:response|call)"
            r"|The last message cannot have role|Messages with role 'tool' must be a response"
            r"|The [`']?reasoning_content[`']? in the thinking mode must",
        ),
    ),
    "no_template": (
        (
            "vLLM, SGLang; vllm 0.33.0 renderers/hf.py; sglang 0.5.23 chat_encoding.py",
            r"As of transformers v4\.44, default chat template|This model has no HF chat template"
            r"|Cannot use chat template because",
        ),
    ),
    "template": (
        (
            "chat template; vllm 0.33.0 renderers/mistral.py; llama.cpp b11549 common/jinja",
            r"An error occurred in `mistral_common` while applying chat template"
            r"|Unknown role: |Unsupported message role|Unexpected message role|Invalid content type"
            r"|Failed to (?:render|apply) chat template|Failed to apply template",
        ),
        (
            "chat template; llama.cpp b11549 models/templates",
            r"Only [\w, ]{1,60} (?:are|is) supported|Unrecognized content type|Unexpected (?:item"
            r"|content) type"
            r"|Invalid (?:message )?role|Invalid (?:user|assistant|system) (?:message|part|content|block)"
            r"|Invalid tool call|System message cannot contain|(?:User|Assistant) message must have",
        ),
        (
            "vllm 0.33.0 chat_message.py",
            r"Found more '[^'\n]{1,60}' placeholders|(?:Missing|Invalid) 'type' field in multimodal part",
        ),
    ),
    "schema": (
        (
            "vllm#26421, noonghunna/club-3090#45",
            r"Grammar error: |The provided JSON schema contains features not supported"
            r"|Failed to transform [\w ]{1,20} into a |Invalid (?:JSON )?grammar specification"
            r"|Invalid structural tag|Failed to compile regex|Regex uses unsupported feature"
            r"|\w{1,30} structured outputs backend does not support|Regex does not have an anchored"
            r"|You can only use one kind of (?:guided decoding|constraints)|Failed to convert the grammar"
            r"|When response_format type is 'json_schema'|Unsupported structured output backend",
        ),
        (
            "llama.cpp#25895, llama.cpp#27619",
            r"[Ff]ailed to parse grammar|Unexpected empty grammar stack"
            r"|JSON schema (?:conversion failed|error)"
            r"|Unable to generate parser for this template|response_format type must be one of"
            r"|\"json_schema\": |error parsing grammar",
        ),
        (
            "sglang 0.5.23 managers/scheduler.py, constrained",
            r"Failed to compile \w{1,30} grammar|Grammar-based generation|Grammar compilation failed"
            r"|Grammar preprocessing timed out|schema_ is required",
        ),
        (
            "tgi 2026-01-08 validation.rs",
            r"grammar is not (?:supported|valid)|cannot compile regex from schema",
        ),
        ("ollama 2026-08-21 llm/llama_server.go", r"invalid (?:format: |JSON schema in format)"),
        ("openai 2026", r"Invalid schema for response_format"),
        (
            "DeepSeek, Groq, Azure; litellm 1.110.2",
            r"This response_format type is unavailable|This model does not support response format"
            r"|response_format value as json_schema is enabled only",
        ),
        (
            "Groq; clients' tests",
            r"[Jj]son mode is not supported|(?:Invalid|Unsupported) JSON schema",
        ),
    ),
    "top_logprobs": (
        (
            "vllm 0.32.0 sampling_params.py",
            r"Requested (?:sample|prompt) logprobs of \d+, which is (?:is )?greater than max "
            r"allowed: (?P<most>\d+)",
        ),
        ("vllm 0.4.0 engine/llm_engine.py", r"Cannot request more than (?P<most>\d+) logprobs"),
        ("tgi 2026-01-08 validation.rs", r"`top_n_tokens` must be >= 0 and <= (?P<most>\d+)"),
        ("ollama 2026-08-21 server/routes.go", r"top_logprobs must be between 0 and (?P<most>\d+)"),
    ),
    "greedy": (("vllm 0.32.0 sampling_params.py", r"n must be 1 when using greedy sampling"),),
    "choices": (
        (
            "vllm 0.33.0 sampling_params.py",
            r"n must be at most (?P<most>\d+)|Batch chat completions do not support `n > 1`",
        ),
        ("llama.cpp b4000 examples/server/utils.hpp", r"Only one completion choice is allowed"),
        (
            "hosted APIs; clients' tests",
            r"Only n ?= ?1 is supported",
        ),
    ),
    "best_of": (
        (
            "vLLM, TGI; tgi 2026-01-08 validation.rs",
            r"`?best_of`? |you must use sampling when `best_of`|`seed` must not be set when `best_of`",
        ),
    ),
    "unsupported_value": (
        ("OpenAI; vscode-copilot-release#9954", rf"Unsupported value: {_PARAM} does not support"),
    ),
    "unsupported": (
        (
            "OpenAI, llama.cpp; gollm#33; llama.cpp b11549 server-common.cpp",
            rf"(?:Unsupported param(?:eter)?: |Unknown parameter: |Unrecognized request arguments? "
            rf"supplied: ){_PARAM}",
        ),
        ("tgi 2026-01-08 lib.rs", rf"unknown field {_PARAM}"),
        (
            "Bedrock; litellm 1.110.2",
            r"extraneous key \[(?P<param>[a-z_]{1,40})\] is not permitted",
        ),
        (
            "litellm 1.110.2 utils.py",
            r"\w{1,40} does not support parameters: [\[{(]['\"](?P<param>[a-z_]{1,40})",
        ),
        (
            "Groq; litellm 1.110.2",
            r"property '(?P<param>[a-z_]{1,40})' is unsupported",
        ),
        (
            "Fireworks, Mistral; clients' tests",
            r"Extra inputs are not permitted, field: '(?P<param>[a-z_]{1,40})'",
        ),
    ),
    "reasoning": (
        (
            "vllm 0.33.0 parser/harmony_utils.py",
            r"(?:Harmony does not support )?reasoning[_ ]effort|invalid reasoning (?:effort|value)"
            rf"|invalid think value|think value |{_NAME} does not support thinking{_END}",
        ),
    ),
    "dimensions": (
        (
            "vllm 0.32.0 pooling_params.py; vllm 0.10 pooling_params.py",
            r"Model \S{1,200} (?:does not support [Mm]atryoshka|only supports \[[\d, ]{1,200}\] matryoshka)",
        ),
        ("OpenAI; vllm 0.32.0", r"This model does not support specifying dimensions"),
    ),
    "logit_bias": (
        ("vLLM, SGLang; vllm 0.33.0 sampling_params.py", r"logit_bias |token_id\(s\) .{0,200} in logit_bias"),
    ),
    "json_word": (("openai 2026", r"(?:'messages'|Prompt) must contain the word 'json'"),),
    "value": (
        ("llama.cpp b11549 server-common.cpp", r"(?P<param>top_logprobs) requires logprobs to be set"),
        ("llama.cpp b11549 server-common.cpp", r"['\"](?P<param>messages)['\"] is required"),
        (
            "vLLM, SGLang, TGI; vllm 0.32.0 sampling_params.py; tgi 2026-01-08 validation.rs",
            rf"{_PARAM} (?:must|should|cannot|has to|supports) ",
        ),
        (
            "llama.cpp b11549 server-schema.cpp",
            r"Field '(?P<param>[a-z_]{1,40})': ",
        ),
        (
            "OpenAI; envoyproxy/ai-gateway test cassettes",
            r"Invalid (?:type for |value for |value: )?[`'\"](?P<param>[a-z_]{1,40})[`'\"][:. ]",
        ),
        (
            "Groq; clients' tests",
            r"'(?P<param>[a-z_]{1,40})' : (?:number|string|value) must ",
        ),
        (
            "Ollama; Go encoding/json",
            r"json: cannot unmarshal \w{1,20} into Go struct field \w{1,40}\."
            r"(?P<param>[a-z_]{1,40})",
        ),
    ),
    "messages": (
        (
            "llama.cpp common/chat.cpp; Ollama openai/openai.go",
            r"Failed to parse messages: |Failed to parse tool call arguments|Missing content part type"
            r"|unsupported content part type|invalid message (?:format|content type)"
            r"|invalid tool call arguments",
        ),
        (
            "Groq, Anthropic; clients' tests",
            r"property 'messages\.|'messages\.\d+' : |messages: (?:text content|final assistant content)",
        ),
    ),
    "credentials": (
        (
            "Gemini, Groq, OpenAI; litellm 1.110.2",
            r"API key not valid|Invalid API [Kk]ey|Incorrect API key provided",
        ),
    ),
    "tokens": (
        (
            "llama.cpp, vLLM; llama.cpp b11549 server-context.cpp",
            r"Prompt contains invalid tokens|Token id \d+ is out of vocabulary|Failed to tokenize prompt",
        ),
    ),
    "empty": (
        (
            "vLLM, TGI, SGLang; vllm 0.33.0 v1/engine/input_processor.py",
            r"The (?:decoder|encoder) prompt cannot be empty|`inputs` cannot be empty|Messages "
            r"cannot be empty",
        ),
        (
            "chat template; llama.cpp b11549 models/templates",
            r"No messages provided|Expected non-empty messages",
        ),
    ),
    "model": (
        (
            "vllm 0.32.0 models/serving.py",
            r"The model [`'\"][^`'\"\n]{1,200}[`'\"] does not exist"
            r"|LoRA adapter '?\S{1,200}'? (?:does not exist|was found but)|Loading lora \S{1,200} failed"
            r"|The lora adapter '[^'\n]{1,200}' cannot be found",
        ),
        (
            "Ollama, llama.cpp; ollama 2026-08-21 server/routes.go; llama.cpp b11549 server-models.cpp",
            r"model (?:['\"][^'\"\n]{1,200}['\"]|name=\S{1,200}) (?:is )?not found|model is not "
            rf"(?:loaded|found){_END}",
        ),
        (
            "litellm 1.110.2 proxy/route_llm_request.py",
            r"(?:/[\w/]{1,60}: )?Invalid model name passed in model=",
        ),
        (
            "Bedrock; litellm 1.110.2; anthropics/claude-code#1466",
            r"The provided model identifier is invalid|Could not resolve the foundation model"
            r"|Invocation of model ID ",
        ),
        ("Azure; litellm 1.110.2", r"The API deployment for this resource"),
        ("OpenRouter; litellm 1.110.2", r"No endpoints found for "),
        (
            "hosted APIs; litellm 1.110.2",
            r"Model (?:not found|Not Exist)|Unknown model: |Model \S{1,200} does not exist"
            r"|\S{1,200} is not a valid model ID"
            r"|The model \S{1,200} (?:is not supported|has been decommissioned)",
        ),
    ),
    "no_access": (("Bedrock; litellm 1.110.2; AWS, model access", r"You don't have access to the model"),),
    "no_stream": (("Bedrock; langchain-aws#573", r"The model is unsupported for streaming"),),
    "not_served": (
        (
            "llama.cpp, vLLM; llama.cpp b11549 server-context.cpp; vllm 0.32.0 entrypoints",
            r"This server does not support (?:embeddings|completions)"
            r"|The model does not support (?:Embeddings|Completions) API",
        ),
        # Of a path that they have no route for.
        ("vLLM, llama.cpp, Go; vllm 0.32.0", rf"(?:File )?Not Found{_END}|(?:404 )?page not found{_END}"),
    ),
    "no_chat": (
        (
            "vLLM, Ollama; vllm 0.33.0 chat_completion/api_router.py",
            rf"The model does not support Chat Completions|{_NAME} does not support (?:chat|generate){_END}"
            r"|This model does not support generation",
        ),
    ),
    "content_filter": (
        (
            "Azure, OpenAI; helm#3327, compl-ai#20",
            r"The response was filtered due to the prompt triggering|Your request was rejected "
            r"(?:as a result of|by)"
            r"|Output blocked by content filter|Invalid prompt: your prompt was flagged",
        ),
        (
            "DashScope, DeepSeek, OpenRouter; clients' tests",
            r"(?:Input|Output) data may contain inappropriate content|Content Exists Risk"
            r"|Your chosen model requires moderation",
        ),
    ),
    "overloaded": (
        (
            "vllm 0.33.0 exceptions.py",
            r"The engine is currently busy|The engine has reached its prefill token backlog",
        ),
        ("sglang#33858", r"The request queue is full|The request is aborted by a higher priority"),
        ("tgi 2026-01-08 infer/mod.rs", r"Model is overloaded"),
        (
            "ollama#4124, ollama#15934",
            r"[Ss]erver (?:busy|overloaded)|(?:unexpected server status: )?llm busy|no slots? available",
        ),
        (
            "OpenAI, Anthropic, Gemini; litellm 1.110.2",
            rf"Overloaded{_END}|(?:That|The|This) (?:model|engine) is (?:currently )?overloaded",
        ),
        ("Bedrock; AWS, InvokeModel", r"Bedrock is unable to process"),
    ),
    "loading": (
        (
            "llama.cpp, Ollama, TGI; llama.cpp b11549 server-http.cpp",
            r"Loading model|llm server loading model|Model \S{1,200} is currently loading"
            r"|Model is not ready for inference|model limit reached, try again",
        ),
    ),
    "rate_limited": (
        ("Bedrock; RooCodeInc/Roo-Code#5050, lobehub#3994", r"Too many (?:tokens|requests|concurrent)[, ]"),
        (
            "OpenRouter, OpenAI, LiteLLM; aider#3550; litellm 1.110.2 router.py",
            r"Rate limit (?:exceeded|reached)|No deployments available|Resource (?:has been )?exhausted"
            r"|Quota exceeded for|Request too large for ",
        ),
    ),
    "quota": (
        (
            "OpenAI, LiteLLM; ruby-openai#501; litellm 1.110.2 exceptions.py",
            r"You exceeded your current quota|Budget has been exceeded|ExceededBudget|Your credit "
            r"balance is too low",
        ),
        (
            "DashScope, DeepSeek, OpenRouter; clients' tests",
            r"Insufficient Balance|This request requires more credits|The free tier of the model"
            r"|Access denied, please make sure your account is in good standing",
        ),
    ),
    "timeout": (
        (
            "SGLang, Envoy, LiteLLM; sglang 0.5.23 managers/scheduler.py",
            r"Request (?:waiting|running) timeout reached|upstream request timeout|stream timeout"
            r"|Request timed out|Connection timed out",
        ),
    ),
    "memory": (
        (
            "vLLM, TGI, SGLang; text-generation-inference#2417, sglang#435",
            r"(?:torch\.)?(?:cuda\.)?(?:CUDA|HIP|XPU|NPU)?[ .]?[Oo]ut ?[Oo]f ?[Mm]emory"
            r"|cudaMalloc failed|CUDA error: out of memory",
        ),
        (
            "sglang 0.5.23 managers/scheduler.py, schedule_batch.py",
            r"Retraction host KV pool exhausted|Beam search group aborted|KV cache pool is full",
        ),
        ("ollama 0.11 llm/server.go", r"model requires more system memory"),
    ),
    "dead": (
        (
            "vllm#24495, vllm#17965",
            r"EngineCore encountered an issue|Background loop (?:is stopped|has errored)",
        ),
        (
            "ollama 2026-08-21 llm/llama_server.go",
            r"model runner has unexpectedly stopped|llama runner process (?:has terminated|no "
            r"longer running)",
        ),
    ),
    "output": (
        (
            "llama.cpp b8064 common/chat-parser.cpp",
            r"Failed to parse input at pos|The model produced output that does not match",
        ),
        (
            "Groq; clients' tests",
            r"Failed to (?:generate JSON|call a function)\. Please adjust your prompt",
        ),
    ),
    "draining": (
        (
            "vLLM; tests/recordings/vllm-0.32.0 err_new_request_while_draining",
            r"cannot schedule new futures after shutdown",
        ),
    ),
}

# What stands in `type`, `code` and their like, and the classes that stand before a text: letters alone, in
# lower case, without `error` or `exception` at the end.
NAMES: Mapping[str, int | str] = {
    "contextlengthexceeded": "context",
    "contextwindowexceeded": "context",
    "modelcontextwindowexceeded": "context",
    "modelmaxprompttokensexceeded": "context",
    "exceedcontextsize": "context",
    "contentfilter": "content_filter",
    "contentpolicyviolation": "content_filter",
    "datainspectionfailed": "content_filter",
    "responsibleaipolicyviolation": "content_filter",
    "insufficientquota": "quota",
    "budgetexceeded": "quota",
    "exceededbudget": "quota",
    "servicequotaexceeded": "quota",
    "billinghardlimitreached": "quota",
    "paymentrequired": "quota",
    "arrearage": "quota",
    "jsonvalidatefailed": "output",
    "toolusefailed": "output",
    "modelnotfound": "model",
    "modelnotsupported": "model",
    "invalidimage": "media_invalid",
    "invalidimageformat": "media_invalid",
    "imageparse": "media_invalid",
    "invalidimageurl": "media_url",
    "deploymentnotfound": "model",
    "modeldecommissioned": "model",
    "overloaded": "overloaded",
    "serverisoverloaded": "overloaded",
    "enginedead": "dead",
    "asyncenginedead": "dead",
    "outofmemory": "memory",
    "template": "template",
    "missingtemplatevariable": "template",
    "modelnotready": "loading",
    "modelwarming": "loading",
    "grammar": "schema",
    "validation": 400,
    "badrequest": 400,
    "invalidrequest": 400,
    "value": 400,
    "tool": 400,
    "unsupportedparams": 400,
    "unauthorized": 401,
    "authentication": 401,
    "invalidapikey": "credentials",
    "unrecognizedclient": 401,
    "accessdenied": 403,
    "permission": 403,
    "permissiondenied": 403,
    "forbidden": 403,
    "expiredtoken": 403,
    "notfound": 404,
    "resourcenotfound": 404,
    "timeout": "timeout",
    "modeltimeout": "timeout",
    "requesttoolarge": 413,
    "unprocessableentity": 422,
    "ratelimit": "rate_limited",
    "ratelimitexceeded": "rate_limited",
    "throttling": "rate_limited",
    "toomanyrequests": "rate_limited",
    "resourceexhausted": "rate_limited",
    "internalserver": 500,
    "server": 500,
    "generation": 500,
    "incompletegeneration": 500,
    "incompletegenerationstream": 500,
    "modelerror": 500,
    "modelstream": 500,
    "apiconnection": 502,
    "badgateway": 502,
    "serviceunavailable": 503,
    "unavailable": 503,
    "notsupported": 501,
    "notimplemented": 501,
}

# Codes of OpenAI's own API, which other servers send too: their `param` and `code` are right as they are.
CODES: Mapping[str, str] = {
    "unsupported_parameter": "unsupported",
    "unsupported_value": "unsupported_value",
    "unknown_parameter": "unsupported",
    **dict.fromkeys(
        (
            "invalid_value",
            "invalid_type",
            "missing_required_parameter",
            "integer_above_max_value",
            "integer_below_min_value",
            "decimal_above_max_value",
            "decimal_below_min_value",
            "string_above_max_length",
            "string_below_min_length",
            "array_above_max_length",
            "array_below_min_length",
            "empty_array",
            "empty_string",
            "invalid_parameter",
        ),
        "value",
    ),
}

# The fields of a request that our own texts may name.
FIELDS = frozenset(
    (
        *("audio", "best_of", "chat_template", "chat_template_kwargs", "frequency_penalty", "function_call"),
        *("functions", "guided_json", "ignore_eos", "length_penalty", "logit_bias", "logprobs", "max_tokens"),
        *("max_completion_tokens", "messages", "metadata", "min_p", "min_tokens", "modalities", "model", "n"),
        *("parallel_tool_calls", "prediction", "presence_penalty", "prompt_cache_key", "prompt_logprobs"),
        *("reasoning_effort", "repetition_penalty", "response_format", "safety_identifier", "seed", "stop"),
        *(
            "service_tier",
            "stop_token_ids",
            "store",
            "stream",
            "stream_options",
            "structured_outputs",
            "user",
        ),
        *("temperature", "tool_choice", "tools", "top_k", "top_logprobs", "top_p", "truncate_prompt_tokens"),
        *("dimensions", "encoding_format", "input", "prompt"),
        *("user", "typical_p", "use_beam_search", "verbosity", "web_search_options"),
    )
)


@cache
def patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return each pattern and its kind, in order; compiled at the first error, not at a cold start."""
    return tuple((re.compile(pattern), kind) for kind, rows in WORDINGS.items() for _, pattern in rows)
