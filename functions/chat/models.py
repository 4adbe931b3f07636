"""The models that the chat function serves, as the variable MODELS has them."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from functions.chat.engines.kinds import ENGINES, NEVER, EngineKind
from functions.shared.environment import SettingsError, count, json_object, seconds
from functions.shared.frozen import Frozen

if TYPE_CHECKING:
    from functions.chat.prices import Prices

# What requests to an engine can bear.
CREDENTIALS = ("key", "bedrock", "function_url")
# What a model can serve. `/v1/responses` needs chat.
SERVES = ("chat", "completions", "embeddings")


class Model(Frozen, kw_only=True):
    """One model, and the engine that answers for it.

    Shape:  `key_secret`: the ARN of the secret that holds the engine's key, where `key` is None.
            `credentials`: what requests to the engine bear: its `key`; a token for Bedrock, or a signature
            for a Function URL, both made of the function's own role. `scaler`: the ARN of the function that
            starts the engine, where that may be scaled to zero.
            `engine`: its kind. `extra_fields`: sent on beside those of its kind.
            `serves`: of SERVES. `fallback`: ids of models that may answer instead, in this order. `listed`:
            callers can name it; else it only answers for others.
            `hedge_after_s`: a stream that has not begun so long after its engine accepted it is sent to the
            first fallback, too; None: never.
            `media_hosts`: where it may fetch images from. `developer_as_system`: it knows no developer.
            `dimensions`: how many numbers an embedding has, where that is known.
            `template_tokens`: what its chat template adds at most, apart from each message; `media_tokens`:
            what an image, a recording or a file is at most. `prices`: what its tokens cost, if that is known.
    Units:  `start_s`: about how many seconds it takes from that start to the engine's first reply.
    """

    id: str
    base_url: str
    served_name: str
    key: str | None = field(repr=False)
    key_secret: str | None = None
    max_tokens_default: int
    max_tokens_limit: int
    credentials: str = "key"
    scaler: str | None = None
    start_s: float = 420.0
    engine: str = "vllm"
    extra_fields: frozenset[str] = frozenset()
    media_hosts: frozenset[str] = frozenset()
    developer_as_system: bool = False
    serves: frozenset[str] = frozenset({"chat", "completions"})
    fallback: tuple[str, ...] = ()
    hedge_after_s: float | None = None
    listed: bool = True
    dimensions: int | None = None
    template_tokens: int = 512
    media_tokens: int = 16_384  # as much as Qwen's processors make of one
    prices: Prices | None = None

    @cached_property
    def kind(self) -> EngineKind:
        """What its kind of engine reads."""
        return ENGINES[self.engine]

    @cached_property
    def header_value(self) -> str:
        """Its id as a header can carry it: what is not ASCII is percent-encoded."""
        return quote(self.id, safe=string.punctuation.replace("%", ""))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields of a request that are sent on."""
        return self.kind.fields | self.extra_fields


def models_from(environ: Mapping[str, str]) -> dict[str, Model]:
    """Return the models by public id, in the order given.

    Raises: SettingsError, naming the variable and the member.
    """
    table = json_object(environ, "MODELS")
    if not table:
        raise SettingsError(
            "MODELS is missing: it names the models to serve, as "
            '{"<name>": {"base_url": "http://…/v1"}}. '
            "`make run` sets it; when deployed, it is a variable of the chat function."
        )
    models = {name: _model(name, entry, environ) for name, entry in table.items()}
    _check_fallbacks(models)
    currencies = {model.prices.currency for model in models.values() if model.prices}
    if len(currencies) > 1:  # a key's costs are added up, whichever models it used
        raise SettingsError(
            f"MODELS: expected `prices` in one currency, but got {' and '.join(sorted(currencies))}."
        )
    return models


_SECRET = "arn:*:secretsmanager:*:*:secret:*"
# Until one of two engines begins, a caller gets no byte: at most twice as long.
_LONGEST_HEDGE_S = 60.0
# Paths are added to it, so it has neither a query nor a fragment; and no user, who would be left out.
_ADDRESS = re.compile(r"https?://([^\s/?#@:\[\]]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?")
# Addresses to which the role's credentials may be sent.
_SAFE = r"https://|http://(localhost|127\.0\.0\.1)[:/]"
_FUNCTION = "arn:*:lambda:*:*:function:*"


def _model(name: str, entry: Any, environ: Mapping[str, str]) -> Model:
    if not isinstance(entry, dict) or not _ADDRESS.fullmatch(str(entry.get("base_url"))):
        raise SettingsError(
            f"MODELS: expected `base_url` of {name!r} to be an http(s) address, such as "
            "'http://localhost:8000/v1', without a user and without a query."
        )
    limit = count(str(entry.get("max_tokens_limit", 4096)), f"MODELS: max_tokens_limit of {name!r}")
    default = count(str(entry.get("max_tokens_default", 1024)), f"MODELS: max_tokens_default of {name!r}")
    served_name = entry.get("served_name", name)
    if not isinstance(served_name, str):
        raise SettingsError(f"MODELS: expected `served_name` of {name!r} to be a string.")
    engine = entry.get("engine", "vllm")
    if not isinstance(engine, str) or engine not in ENGINES:
        raise SettingsError(
            f"MODELS: expected `engine` of {name!r} to be one of {', '.join(ENGINES)}, but got {engine!r}."
        )
    prices = None
    if "prices" in entry:
        from functions.chat.prices import Prices  # here: decimals take time to import

        prices = Prices.of(entry["prices"], name)
    return Model(
        id=name,
        base_url=entry["base_url"].rstrip("/"),
        served_name=served_name,
        key=_key(name, entry, environ),
        key_secret=_arn(name, entry, "key_secret", _SECRET),
        max_tokens_default=min(default, limit),
        max_tokens_limit=limit,
        credentials=_credentials(name, entry),
        scaler=_arn(name, entry, "scaler", _FUNCTION),
        start_s=seconds(str(entry.get("start_s", 420)), f"MODELS: start_s of {name!r}"),
        engine=engine,
        extra_fields=_extra_fields(name, entry),
        media_hosts=_media_hosts(name, entry),
        developer_as_system=_boolean(name, entry, "developer_as_system", default=False),
        fallback=tuple(_strings(name, entry, "fallback")),
        hedge_after_s=_hedge_after(name, entry),
        listed=_boolean(name, entry, "listed", default=True),
        serves=_serves(name, entry, ENGINES[engine]),
        **{
            member: count(str(entry[member]), f"MODELS: {member} of {name!r}")
            for member in ("dimensions", "template_tokens", "media_tokens")
            if member in entry
        },
        prices=prices,
    )


def _key(name: str, entry: dict[str, Any], environ: Mapping[str, str]) -> str | None:
    if "key_variable" in entry and "key_secret" in entry:
        raise SettingsError(
            f"MODELS: expected one of `key_variable` and `key_secret` of {name!r}, but got both."
        )
    variable = entry.get("key_variable")
    if variable is None:
        return None
    if not (isinstance(variable, str) and environ.get(variable)):
        raise SettingsError(
            f"MODELS: `key_variable` of {name!r} is {variable!r}, but no such variable is set. "
            "Put the engine's API key there, or leave `key_variable` out."
        )
    return environ[variable]


def _credentials(name: str, entry: dict[str, Any]) -> str:
    credentials = entry.get("credentials", "key")
    if credentials not in CREDENTIALS:
        raise SettingsError(
            f"MODELS: expected `credentials` of {name!r} to be one of {', '.join(CREDENTIALS)}, "
            f"but got {credentials!r}."
        )
    if credentials != "key" and ("key_variable" in entry or "key_secret" in entry):
        raise SettingsError(
            f"MODELS: expected no key for {name!r}: its requests bear what `credentials` "
            f"({credentials}) makes of the function's role."
        )
    if credentials != "key" and not re.match(_SAFE, entry["base_url"]):
        raise SettingsError(
            f"MODELS: expected `base_url` of {name!r} to be an https address: its requests bear credentials "
            "of the function's role."
        )
    return str(credentials)


def _hedge_after(name: str, entry: dict[str, Any]) -> float | None:
    if "hedge_after_s" not in entry:
        return None
    after_s = seconds(str(entry["hedge_after_s"]), f"MODELS: hedge_after_s of {name!r}")
    if not 0 < after_s <= _LONGEST_HEDGE_S or not entry.get("fallback"):
        raise SettingsError(
            f"MODELS: expected `hedge_after_s` of {name!r} to be above 0 and at most {_LONGEST_HEDGE_S:g}, "
            "beside a `fallback` that gets the request, too."
        )
    return after_s


def _serves(name: str, entry: dict[str, Any], kind: EngineKind) -> frozenset[str]:
    serves = _strings(name, entry, "serves") if "serves" in entry else kind.serves
    if not serves or not set(serves) <= set(SERVES):
        raise SettingsError(
            f"MODELS: expected `serves` of {name!r} to be a list of {', '.join(map(repr, SERVES))}, "
            f"but got {sorted(serves)!r}."
        )
    if "completions" in serves and not kind.text:
        raise SettingsError(
            f"MODELS: expected `serves` of {name!r} without 'completions', which its `engine` does not have."
        )
    return frozenset(serves)


def _check_fallbacks(models: Mapping[str, Model]) -> None:
    """Check which models answer for which: each knows its own list only, so they may name each other."""
    if not any(model.listed for model in models.values()):
        raise SettingsError(
            "MODELS: expected one model at least that callers can name, without `listed`: false."
        )
    for model in models.values():
        for number, name in enumerate(model.fallback):
            wrong = None
            if name not in models:
                wrong = "which MODELS does not have"
            elif name == model.id or name in model.fallback[:number]:
                wrong = "the model itself, or the same again"
            elif not model.serves & models[name].serves:
                wrong = f"which serves only {' and '.join(sorted(models[name].serves))}"
            if wrong:
                raise SettingsError(
                    f"MODELS: expected `fallback` of {model.id!r} to name other models that serve what it "
                    f"serves, but got {name!r}, {wrong}."
                )


def _extra_fields(name: str, entry: dict[str, Any]) -> frozenset[str]:
    fields = _strings(name, entry, "extra_fields")
    for field_name in fields:
        # Some engines match names without regard to case.
        if not re.fullmatch(r"[a-z_][a-z0-9_.]*", field_name):
            raise SettingsError(
                f"MODELS: expected `extra_fields` of {name!r} to be names of fields in lower case, such as "
                f"'min_tokens', but got {field_name!r}."
            )
        for reason, refused in NEVER.items():
            if field_name in refused:
                raise SettingsError(
                    f"MODELS: `extra_fields` of {name!r} cannot have {field_name!r}: it {reason}. "
                    "Leave it out."
                )
    return frozenset(fields)


# A name whose last label begins with a letter, so no address; with a dot, so not of the local network.
_HOST = r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?"


def _media_hosts(name: str, entry: dict[str, Any]) -> frozenset[str]:
    hosts = [host.lower() for host in _strings(name, entry, "media_hosts")]
    for host in hosts:
        if not re.fullmatch(_HOST, host):
            raise SettingsError(
                f"MODELS: expected `media_hosts` of {name!r} to be public names of hosts, such as "
                f"'images.example.com', without scheme, port or path, but got {host!r}."
            )
    return frozenset(hosts)


def _boolean(name: str, entry: dict[str, Any], member: str, *, default: bool) -> bool:
    value = entry.get(member, default)
    if not isinstance(value, bool):
        raise SettingsError(f"MODELS: expected `{member}` of {name!r} to be true or false.")
    return value


def _strings(name: str, entry: dict[str, Any], member: str) -> list[str]:
    values = entry.get(member, [])
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise SettingsError(f"MODELS: expected `{member}` of {name!r} to be a list of names.")
    return values


def _arn(name: str, entry: dict[str, Any], member: str, form: str) -> str | None:
    arn = entry.get(member)
    if arn is not None and not (isinstance(arn, str) and fnmatchcase(arn, form)):
        raise SettingsError(f"MODELS: expected `{member}` of {name!r} to be an ARN of the form {form}.")
    return arn
