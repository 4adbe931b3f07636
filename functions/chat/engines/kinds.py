"""What each kind of engine serves, and reads of a request: the lists by which fields are sent on.

A field of a request is sent on only if the list of the model's engine has it, or the model's `extra_fields`.
OpenAI's other fields are accepted and left out; any other name is refused. The names in NEVER cannot be
added: what they can do, the gateway could neither count nor undo.

Sources, read 2026-11-26: `/openapi.json` of vLLM 0.32.0, `tools/server/server-schema.cpp` of llama.cpp,
`entrypoints/openai/protocol.py` of SGLang, `router/src/lib.rs` of TGI, `openai/openai.go` of Ollama; for
Bedrock `docs/decisions/0023-bedrock-and-hosted-models.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from functions.shared.frozen import Frozen


class EngineKind(Frozen, kw_only=True):
    """One kind of engine.

    Shape:  `openai` are the fields of OpenAI's chat completions that it reads, `text` those of completions,
            `own` those that only it knows, of either. `serves`: what a model of it serves unless its settings
            say otherwise. `reasoning`: where it reads the thoughts of an earlier turn. `takes_all`: it reads
            every member of OpenAI's messages, tools and tool choices. `forces_calls`: by which field it is
            made to call a tool, None where nothing does. `continuous_usage`: it can count in every chunk.
            `counts_by_choice`: a whole completion has the count of one of its choices, a stream each one's.
            `links_images`: it fetches the images that a text links to, in Markdown.
            `names_tools`: it takes the tool's name in a tool's message. `tags_reasoning`: a content may
            begin with thoughts in `<reasoning>` tags.
    """

    openai: frozenset[str]
    text: frozenset[str]
    own: frozenset[str] = frozenset()
    serves: frozenset[str] = frozenset({"chat", "completions"})
    reasoning: str | None = None
    takes_all: bool = False
    forces_calls: Literal["tool_choice", "json_schema"] | None = "tool_choice"
    continuous_usage: bool = False
    counts_by_choice: bool = False
    links_images: bool = False
    names_tools: bool = True
    tags_reasoning: bool = False

    @property
    def fields(self) -> frozenset[str]:
        """The fields of a chat completion that are sent on."""
        return self.openai | self.own

    @property
    def text_fields(self) -> frozenset[str]:
        """The fields of a completion that are sent on; an engine without `n` takes one prompt."""
        return self.text | (self.own - _OF_CHAT)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ALL = _names(
    """model messages max_tokens temperature top_p stop stream stream_options seed presence_penalty
    frequency_penalty logprobs top_logprobs tools response_format"""
)
_MOST = _ALL | _names("max_completion_tokens n logit_bias tool_choice parallel_tool_calls reasoning_effort")
_OPENAI = (_MOST - {"max_tokens"}) | _names(
    """user safety_identifier prompt_cache_key prompt_cache_retention prompt_cache_options modalities audio
    verbosity prediction metadata store moderation functions function_call"""
)
_TEXT_ALL = _names(
    "model prompt max_tokens temperature top_p stop stream stream_options seed frequency_penalty"
)
_TEXT_MOST = _TEXT_ALL | _names("presence_penalty logprobs logit_bias n user")
# Of an engine's own fields, those that mean nothing without messages.
_OF_CHAT = _names("chat_template_kwargs thinking_token_budget separate_reasoning")
ENGINES: Mapping[str, EngineKind] = MappingProxyType(
    {
        "vllm": EngineKind(
            openai=_MOST | {"user"},
            text=_TEXT_MOST,
            own=_names(
                """top_k min_p repetition_penalty stop_token_ids skip_special_tokens
                thinking_token_budget chat_template_kwargs"""
            ),
            reasoning="reasoning",
            continuous_usage=True,
        ),
        "llama.cpp": EngineKind(
            openai=_MOST,
            text=_TEXT_MOST - {"user"},
            own=_names(
                """cache_prompt top_k min_p typical_p top_n_sigma xtc_probability xtc_threshold repeat_penalty
                dry_multiplier dry_base dry_allowed_length mirostat mirostat_tau mirostat_eta
                chat_template_kwargs"""
            ),
            reasoning="reasoning_content",
            # Its tool choice does not hold where the template knows no tools, nor with several that do:
            # ggml-org/llama.cpp #27129, #27217, #27767. A schema always does.
            forces_calls="json_schema",
            counts_by_choice=True,
        ),
        "sglang": EngineKind(
            openai=_MOST | {"user"},
            text=_TEXT_MOST,
            own=_names(
                """top_k min_p repetition_penalty stop_token_ids skip_special_tokens separate_reasoning
                chat_template_kwargs"""
            ),
            reasoning="reasoning_content",
            continuous_usage=True,
        ),
        "tgi": EngineKind(openai=_ALL | {"tool_choice"}, text=_TEXT_ALL, links_images=True),
        "ollama": EngineKind(
            openai=_ALL | {"reasoning_effort"},
            text=_TEXT_ALL | {"presence_penalty", "logprobs"},
            reasoning="reasoning",
            forces_calls=None,
        ),
        # No list is published, and unknown fields are refused: those that AWS shows or others have tried. Not
        # `n`, whose choices it mixes into one.
        "bedrock": EngineKind(
            openai=(_ALL - {"max_tokens"})
            | _names("max_completion_tokens parallel_tool_calls reasoning_effort tool_choice"),
            text=frozenset(),
            serves=frozenset({"chat"}),
            names_tools=False,
            tags_reasoning=True,
        ),
        # LiteLLM reads settings of its own out of `metadata`.
        "litellm": EngineKind(
            openai=_OPENAI - {"metadata"},
            text=_TEXT_MOST,
            own=_names("top_k"),
            serves=frozenset({"chat"}),
            reasoning="reasoning_content",
            takes_all=True,
        ),
        # Its chat models have no completions, and others are rare.
        "openai": EngineKind(openai=_OPENAI, text=_TEXT_MOST, serves=frozenset({"chat"}), takes_all=True),
    }
)

# Why a field is never sent, whatever a model's `extra_fields` say → the fields.
NEVER: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "raises tokens, choices, beams or log-probabilities above what is reserved": _names(
            """n_predict num_predict max_new_tokens max_length n_cmpl best_of use_beam_search num_beams
            length_penalty early_stopping ignore_eos options n_probs prompt_logprobs logprob_token_ids
            return_logprob logprob_start_len top_logprobs_num"""
        ),
        "puts something else in the place of the counted messages": _names(
            "prompt prompt_embeds prompt_token_ids input_ids input_embeds chat_template echo"
        ),
        "runs the caller's code in the engine, or changes how it works for others": _names(
            """logits_processors custom_logit_processor custom_params vllm_xargs mm_processor_kwargs
            media_io_kwargs images_config max_dynamic_patch min_dynamic_patch lora lora_path id_slot
            session_params priority request_id rid kv_transfer_params ec_transfer_params bootstrap_host
            bootstrap_port bootstrap_room routed_dp_rank data_parallel_rank disagg_prefill_dp_rank"""
        ),
        "hides from the gateway what the engine generates": _names(
            """stream_interval response_fields return_progress sse_ping_interval verbose
            return_hidden_states return_routed_experts _debug_render_only"""
        ),
        "leads a proxy to another model, address or key": _names(
            """models fallbacks api_base base_url api_key api_version custom_llm_provider num_retries
            extra_body extra_headers extra_query mock_response"""
        ),
    }
)
