"""What a llama-server tells, as typed values. Counts are in tokens unless said otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Self, override

from . import json_fields
from .errors import MalformedStreamError, NotLlamaServerError

# The body of a request for a chat completion, and its parts, as OpenAI's API has them.
type ChatRequest = dict[str, Any]
type ChatMessage = dict[str, Any]
type ToolParam = dict[str, Any]


class ModelStatus(StrEnum):
    """What a server does with a model at the moment."""

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
    """Why the model stopped.

    CUT: it did not, but the rest of its answer has not arrived; no server says so.
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
    """What the chat template of a model can express; false where the server did not tell.

    With a template that does not support tools the server drops the tools of a request
    without a word.
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
        """Read the object `chat_template_caps` of `/props`."""
        return cls(**{name: json_fields.flag(value, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class Modalities:
    """What a model can take besides text."""

    vision: bool = False
    audio: bool = False


@dataclass(frozen=True, slots=True)
class ServerProps:
    """What a server is and which model it serves (`/props`).

    n_ctx: context of one slot in tokens, None for a router. total_slots: how many requests it
    serves at a time, None for a router. Texts are empty where the server did not tell.
    is_router: it serves several models, each request names one. is_sleeping: it has put its
    model out of memory until the next request. has_metrics, has_slots: it serves `/metrics`,
    `/slots`. instance: a word that differs with every start of a server and with every server,
    empty for a router. is_front: it is no llama-server, but passes on to some.
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
        """Return what people call the model: without `--alias`, the server calls it by its path."""
        return PurePath(self.model_alias or self.model_path).name.removesuffix(".gguf")

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read the answer of `/props`; raises NotLlamaServerError if it is something else."""
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
            # llama-server makes up the marker for pictures anew at every start.
            instance=json_fields.text(value, "media_marker") or "",
        )


@dataclass(frozen=True, slots=True)
class Model:
    """A model that a server serves or could load.

    n_ctx: context of one slot in tokens. n_params: number of weights. size: bytes of the
    weights. These three are None as long as the model is not loaded.
    """

    id: str
    aliases: tuple[str, ...]
    status: ModelStatus
    n_ctx: int | None
    n_params: int | None
    size: int | None

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read one entry of `/v1/models`; raises NotLlamaServerError if it is something else."""
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
        # Only a router tells a status: without one, the single model is there.
        return ModelStatus.LOADED
    status = json_fields.child(model, "status")
    if json_fields.flag(status, "failed"):
        return ModelStatus.FAILED
    return ModelStatus(json_fields.text(status, "value") or ModelStatus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for a request. n_ctx: its context in tokens. is_processing: it is busy."""

    id: int
    n_ctx: int | None
    is_processing: bool

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read one entry of `/slots`; raises NotLlamaServerError if it is something else."""
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
    """Tokens of one request. cached_tokens: the part of the prompt that was kept from before."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int

    def __add__(self, other: Usage) -> Usage:
        """Return the tokens of both requests together."""
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read an object `usage`; raises MalformedStreamError if it is something else."""
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
    """Where the time of one request went.

    cache_n, prompt_n, predicted_n: tokens of the prompt kept from before, tokens of the prompt
    processed now, tokens generated. prompt_ms, predicted_ms: milliseconds for the latter two.
    """

    cache_n: int
    prompt_n: int
    prompt_ms: float
    predicted_n: int
    predicted_ms: float

    def __add__(self, other: Timings) -> Timings:
        """Return the tokens and milliseconds of both requests together."""
        return Timings(
            cache_n=self.cache_n + other.cache_n,
            prompt_n=self.prompt_n + other.prompt_n,
            prompt_ms=self.prompt_ms + other.prompt_ms,
            predicted_n=self.predicted_n + other.predicted_n,
            predicted_ms=self.predicted_ms + other.predicted_ms,
        )

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read an object `timings`; raises MalformedStreamError if it is something else."""
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
    """Further text of the answer.

    logprob: logarithm of how likely the model held it, others: the likeliest texts in its place,
    with theirs; only where the request asked for `logprobs`.
    """

    text: str
    logprob: float = 0.0
    others: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """Further text of what the model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A part of a tool call.

    index: which call of the answer. id, name: usually only in the first part of a call.
    arguments: further text of the call's arguments, JSON once all parts are joined.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The model stopped."""

    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Completion:
    """The last event of every stream: what the answer took, as far as the server told."""

    usage: Usage | None
    timings: Timings | None

    def __add__(self, other: Completion) -> Completion:
        """Return what both requests took together, as far as the server told of either."""
        return Completion(
            usage=_sum(self.usage, other.usage), timings=_sum(self.timings, other.timings)
        )


def _sum[T: (Usage, Timings)](one: T | None, other: T | None) -> T | None:
    return one + other if one and other else one or other


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """How far the server has read the prompt.

    total: tokens of the prompt. cache: of these, kept from before. processed: of these, done so
    far, the kept ones included. time_ms: milliseconds since it began.
    """

    total: int
    cache: int
    processed: int
    time_ms: float

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read `prompt_progress`; raises MalformedStreamError if it is something else."""
        if not isinstance(value, Mapping):
            raise MalformedStreamError("The server sent a progress that is no object")
        return cls(
            total=json_fields.integer(value, "total") or 0,
            cache=json_fields.integer(value, "cache") or 0,
            processed=json_fields.integer(value, "processed") or 0,
            time_ms=json_fields.number(value, "time_ms") or 0.0,
        )


type StreamEvent = TextDelta | ThinkingDelta | ToolCallDelta | Finish | Completion | PromptProgress
