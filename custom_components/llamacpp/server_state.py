"""State of a server, and statistics of its last answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from .client import ModelStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .client import Completion, Modalities, Model, ServerProps

IN_MEMORY = (ModelStatus.LOADED, ModelStatus.SLEEPING)
ON_THE_WAY = (ModelStatus.LOADING, ModelStatus.DOWNLOADING)


class ServerStatus(StrEnum):
    """Status of a server.

    Only our app's server reports `STARTING` and `DOWNLOADING`: any llama-server reports `LOADING`
    once it listens, and before that it looks like a server that is off.
    """

    OK = "ok"
    STARTING = "starting"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    SLEEPING = "sleeping"
    UNREACHABLE = "unreachable"
    WRONG_KEY = "wrong_key"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """Statistics of one answer of an agent.

    agent_id: entity id. completion: tokens and milliseconds of all its requests, as far as the
    server reports them. first_text_seconds: from the request to the first text, None without text.
    """

    agent_id: str
    completion: Completion
    first_text_seconds: float | None

    @property
    def prompt_speed(self) -> float | None:
        """Return the speed of the prefill in tokens per second."""
        timings = self.completion.timings
        return _per_second(timings.prompt_n, timings.prompt_ms) if timings else None

    @property
    def generation_speed(self) -> float | None:
        """Return the speed of the generation in tokens per second."""
        timings = self.completion.timings
        return _per_second(timings.predicted_n, timings.predicted_ms) if timings else None

    @property
    def cached_share(self) -> float | None:
        """Return the share of the prompt found in the KV cache, in percent."""
        usage = self.completion.usage
        if usage is None or not usage.prompt_tokens:
            return None
        return usage.cached_tokens / usage.prompt_tokens * 100


def _per_second(tokens: int, milliseconds: float) -> float | None:
    return tokens / milliseconds * 1000 if milliseconds else None


@dataclass(frozen=True, slots=True)
class ServerState:
    """State of a server at the last poll.

    props: of the server. models: of a router, else empty. model: the one of these that is shown,
    None if none is loaded or loading. loaded: properties of the loaded model, for a server with a
    single model the same as props. metrics: counters and gauges of each loaded model by its id,
    which is empty for a single model; no entries if the server has no metrics.
    """

    props: ServerProps
    models: tuple[Model, ...]
    model: Model | None
    loaded: ServerProps | None
    metrics: Mapping[str, Mapping[str, float]]

    @property
    def is_router(self) -> bool:
        """Return whether the server serves several models."""
        return self.props.is_router

    @property
    def loads_models(self) -> bool:
        """Return whether the server loads and unloads models on request."""
        return self.is_router and not self.props.is_front

    @property
    def build_info(self) -> str:
        """Return the version of the server."""
        return self.props.build_info

    @property
    def modalities(self) -> Modalities:
        """Return the modalities of the server's single model."""
        return self.props.modalities

    @property
    def model_name(self) -> str | None:
        """Return the display name of the loaded model, None if there is none."""
        if self.is_router:
            return self.model.id if self.model else None
        return self.props.model_name

    @property
    def default_model(self) -> str | None:
        """Return the model for agents without one; None if the server has only one.

        An agent that was created for a single model continues with it when the server becomes a
        router, which needs a model in every request.
        """
        if not self.is_router:
            return None
        shown = self.model or next(iter(self.models), None)
        return shown.id if shown else None

    @property
    def in_memory(self) -> dict[str, str]:
        """Return the models that can answer at once, each with a string for this start of it.

        The string is unique for each start, and empty if unknown. The id of a single model is
        empty, too. A proxy may swap models at any time: the result is empty.
        """
        if self.props.is_front:
            return {}
        if not self.is_router:
            return {} if self.props.is_sleeping else {"": self.props.instance}
        known = {self.model.id: self.loaded.instance} if self.model and self.loaded else {}
        loaded = [one.id for one in self.models if one.status is ModelStatus.LOADED]
        return {one: known.get(one, "") for one in loaded}

    @property
    def context_size(self) -> int | None:
        """Return the context of a slot in tokens."""
        return self.loaded.n_ctx if self.loaded else None

    @property
    def slots_total(self) -> int | None:
        """Return the number of slots."""
        return self.loaded.total_slots if self.loaded else None

    @property
    def slots_busy(self) -> int | None:
        """Return the number of busy slots."""
        # While the server sleeps, its metrics are out of date.
        if self.status is ServerStatus.SLEEPING:
            return 0
        shown = self.metrics.get(self.model.id if self.model else "", {})
        value = shown.get("requests_processing")
        return None if value is None else int(value)

    def counts(self, metric: str) -> dict[str, int]:
        """Return the value of a counter for each loaded model, by the model's id."""
        return {model: int(one[metric]) for model, one in self.metrics.items() if metric in one}

    @property
    def present(self) -> frozenset[str]:
        """Return the ids of models in memory, asleep or not; the id of a single model is empty."""
        if not self.is_router:
            return frozenset({""})
        return frozenset(one.id for one in self.models if one.status in IN_MEMORY)

    @property
    def prompt_tokens(self) -> int | None:
        """Return the tokens of all prompts since the server's start, None if not reported."""
        processed = self.counts("prompt_tokens_total")
        cached = self.counts("prompt_tokens_cached_total")
        return sum(processed.values()) + sum(cached.values()) if processed else None

    @property
    def status(self) -> ServerStatus:
        """Return the status of a server that answers."""
        if any(model.status is ModelStatus.LOADING for model in self.models):
            return ServerStatus.LOADING
        if self.loaded and self.loaded.is_sleeping:
            return ServerStatus.SLEEPING
        return ServerStatus.OK
