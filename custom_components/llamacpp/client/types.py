"""Typed values of llama-server's responses. Counts are in tokens unless noted otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Self, override

from . import json_fields
from .errors import MalformedStreamError, NotLlamaServerError

# Body of a chat completion request and its parts, in the format of OpenAI's API.
type ChatRequest = dict[str, Any]
type ChatMessage = dict[str, Any]
type ToolParam = dict[str, Any]


class ModelStatus(StrEnum):
    """Status of a model on a server."""

    LOADED = "loaded"
    UNLOADED = "unloaded"
    LOADING = "loading"
    DOWNLOADING = "downloading"
    SLEEPING = "sleeping"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @classmethod
    @override
    def _missing_(cls, value: object) -> Self:
        return cls.UNKNOWN


class FinishReason(StrEnum):
    """Reason for the end of an answer.

    CUT: the model did not stop, but the rest of its answer did not arrive; set by the client.
    """

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CUT = "cut"
    UNKNOWN = "unknown"

    @classmethod
    @override
    def _missing_(cls, value: object) -> Self:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class ChatTemplateCaps:
    """Features of a model's chat template; false where the server does not report them.

    The server silently drops the tools of a request if the template does not support them.
    """

    supports_tools: bool = False
    supports_tool_calls: bool = False
    supports_parallel_tool_calls: bool = False
    supports_system_role: bool = False
    supports_object_arguments: bool = False
    supports_preserve_reasoning: bool = False
    supports_reasoning_effort: bool = False
    supports_string_content: bool = False
    supports_typed_content: bool = False

    @classmethod
    def from_json(cls, value: json_fields.JsonObject) -> Self:
        """Parse the object `chat_template_caps` of `/props`."""
        return cls(**{name: json_fields.flag(value, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Modalities:
    """Input of a model besides text."""

    vision: bool = False
    audio: bool = False


@dataclass(frozen=True, slots=True)
class ServerProps:
    """Properties of a server and its model (`/props`).

    n_ctx: context of one slot in tokens, None for a router. total_slots: number of parallel
    requests, None for a router. Strings are empty where the server does not report them.
    is_router: it serves several models, and each request names one. is_sleeping: it has unloaded
    its model until the next request. has_metrics, has_slots: it serves `/metrics`, `/slots`.
    instance: a string that is unique for each server and each start, empty for a router.
    is_front: it is a proxy in front of llama-servers.
    """

    n_ctx: int | None
    total_slots: int | None
    model_alias: str
    model_path: str
    model_ftype: str
    build_info: str
    chat_template: str
    bos_token: str
    eos_token: str
    chat_template_caps: ChatTemplateCaps
    modalities: Modalities
    is_router: bool
    is_sleeping: bool
    has_metrics: bool
    has_slots: bool
    instance: str
    is_front: bool = False

    @property
    def model_name(self) -> str:
        """Return a short name of the model: without `--alias`, the server reports a path."""
        return PurePath(self.model_alias or self.model_path).name.removesuffix(".gguf")

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse the response of `/props`; raises NotLlamaServerError for anything else."""
        if not isinstance(value, Mapping) or "default_generation_settings" not in value:
            raise NotLlamaServerError("The server's properties are not those of a llama-server")
        settings = json_fields.child(value, "default_generation_settings")
        modalities = json_fields.child(value, "modalities")
        return cls(
            n_ctx=json_fields.integer(settings, "n_ctx") or None,
            total_slots=json_fields.integer(value, "total_slots"),
            model_alias=json_fields.text(value, "model_alias") or "",
            model_path=json_fields.text(value, "model_path") or "",
            model_ftype=json_fields.text(value, "model_ftype") or "",
            build_info=json_fields.text(value, "build_info") or "",
            chat_template=json_fields.text(value, "chat_template") or "",
            bos_token=json_fields.text(value, "bos_token") or "",
            eos_token=json_fields.text(value, "eos_token") or "",
            chat_template_caps=ChatTemplateCaps.from_json(
                json_fields.child(value, "chat_template_caps")
            ),
            modalities=Modalities(
                vision=json_fields.flag(modalities, "vision"),
                audio=json_fields.flag(modalities, "audio"),
            ),
            is_router=json_fields.text(value, "role") == "router",
            is_sleeping=json_fields.flag(value, "is_sleeping"),
            has_metrics=json_fields.flag(value, "endpoint_metrics"),
            has_slots=json_fields.flag(value, "endpoint_slots"),
            # llama-server generates a new media marker at each start.
            instance=json_fields.text(value, "media_marker") or "",
        )


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a server serves or can load.

    n_ctx: context of one slot in tokens. n_params: number of weights. size: of the weights, in
    bytes. These three are None until the model is loaded.
    """

    id: str
    aliases: tuple[str, ...]
    status: ModelStatus
    n_ctx: int | None
    n_params: int | None
    size: int | None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse one entry of `/v1/models`; raises NotLlamaServerError for anything else."""
        model_id = json_fields.text(value, "id") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or model_id is None:
            raise NotLlamaServerError("The list of models has an entry without an id")
        aliases = json_fields.items(value, "aliases") or []
        meta = json_fields.child(value, "meta")
        return cls(
            id=model_id,
            aliases=tuple(alias for alias in aliases if isinstance(alias, str)),
            status=_model_status(value),
            n_ctx=json_fields.integer(meta, "n_ctx"),
            n_params=json_fields.integer(meta, "n_params"),
            size=json_fields.integer(meta, "size"),
        )


def _model_status(model: json_fields.JsonObject) -> ModelStatus:
    if "status" not in model:
        # Only routers report a status; a single model is always loaded.
        return ModelStatus.LOADED
    status = json_fields.child(model, "status")
    if json_fields.flag(status, "failed"):
        return ModelStatus.FAILED
    return ModelStatus(json_fields.text(status, "value") or ModelStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of the server. n_ctx: its context in tokens. is_processing: it is busy."""

    id: int
    n_ctx: int | None
    is_processing: bool

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse one entry of `/slots`; raises NotLlamaServerError for anything else."""
        slot_id = json_fields.integer(value, "id") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or slot_id is None:
            raise NotLlamaServerError("The list of slots has an entry without an id")
        return cls(
            id=slot_id,
            n_ctx=json_fields.integer(value, "n_ctx"),
            is_processing=json_fields.flag(value, "is_processing"),
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one request. cached_tokens: the part of the prompt found in the KV cache."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int

    def __add__(self, other: Usage) -> Usage:
        """Return the sums of both requests."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse an object `usage`; raises MalformedStreamError for anything else."""
        if not isinstance(value, Mapping):
            raise MalformedStreamError("The server sent a usage that is no object")
        prompt = json_fields.integer(value, "prompt_tokens") or 0
        completion = json_fields.integer(value, "completion_tokens") or 0
        details = json_fields.child(value, "prompt_tokens_details")
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=json_fields.integer(value, "total_tokens") or prompt + completion,
            cached_tokens=json_fields.integer(details, "cached_tokens") or 0,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Tokens and durations of one request.

    cache_n, prompt_n, predicted_n: prompt tokens found in the KV cache, prompt tokens processed,
    tokens generated. prompt_ms, predicted_ms: milliseconds for the latter two.
    """

    cache_n: int
    prompt_n: int
    prompt_ms: float
    predicted_n: int
    predicted_ms: float

    def __add__(self, other: Timings) -> Timings:
        """Return the sums of both requests."""
        return Timings(
            cache_n=self.cache_n + other.cache_n,
            prompt_n=self.prompt_n + other.prompt_n,
            prompt_ms=self.prompt_ms + other.prompt_ms,
            predicted_n=self.predicted_n + other.predicted_n,
            predicted_ms=self.predicted_ms + other.predicted_ms,
        )

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse an object `timings`; raises MalformedStreamError for anything else."""
        if not isinstance(value, Mapping):
            raise MalformedStreamError("The server sent timings that are no object")
        return cls(
            cache_n=json_fields.integer(value, "cache_n") or 0,
            prompt_n=json_fields.integer(value, "prompt_n") or 0,
            prompt_ms=json_fields.number(value, "prompt_ms") or 0.0,
            predicted_n=json_fields.integer(value, "predicted_n") or 0,
            predicted_ms=json_fields.number(value, "predicted_ms") or 0.0,
        )


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer's text.

    logprob: log probability of its first token. others: the likeliest tokens in its place with
    their log probabilities. Both only if the request has `logprobs`.
    """

    text: str
    logprob: float = 0.0
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """The next piece of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call.

    index: of the call within the answer. id, name: usually only in the first piece of a call.
    arguments: the next piece of the arguments, which are JSON once all pieces are joined.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Finish:
    """End of the model's output."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Completion:
    """Last event of every stream: usage and timings, as far as the server reports them."""

    usage: Usage | None
    timings: Timings | None

    def __add__(self, other: Completion) -> Completion:
        """Return the sums of both requests, as far as the server reports them."""
        return Completion(
            usage=_sum(self.usage, other.usage), timings=_sum(self.timings, other.timings)
        )


def _sum[T: (Usage, Timings)](one: T | None, other: T | None) -> T | None:
    return one + other if one and other else one or other


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """Progress of the prefill.

    total: tokens of the prompt. cache: of these, found in the KV cache. processed: of these, done
    so far, including the cached ones. time_ms: milliseconds since the start.
    """

    total: int
    cache: int
    processed: int
    time_ms: float

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Parse `prompt_progress`; raises MalformedStreamError for anything else."""
        if not isinstance(value, Mapping):
            raise MalformedStreamError("The server sent a progress that is no object")
        return cls(
            total=json_fields.integer(value, "total") or 0,
            cache=json_fields.integer(value, "cache") or 0,
            processed=json_fields.integer(value, "processed") or 0,
            time_ms=json_fields.number(value, "time_ms") or 0.0,
        )


type StreamEvent = TextDelta | ThinkingDelta | ToolCallDelta | Finish | Completion | PromptProgress
