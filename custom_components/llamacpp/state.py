"""What is known of a server, and of its newest answer."""

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
    """What a server is up to.

    Only of our app's server it is known that it is starting: as soon as a llama-server listens it
    tells that it is loading, and before that another one cannot be told from one that is off.
    """

    OK = "ok"
    STARTING = "starting"
    LOADING = "loading"
    SLEEPING = "sleeping"
    UNREACHABLE = "unreachable"
    WRONG_KEY = "wrong_key"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class AnswerStats:
    """What one answer of an agent took.

    agent_id: entity id. completion: tokens and milliseconds of all its requests, as far as the
    server told. first_text_seconds: from the request to the first words, None if there were none.
    """

    agent_id: str
    completion: Completion
    first_text_seconds: float | None

    @property
    def prompt_speed(self) -> float | None:
        """Return how many tokens of the prompt were processed in a second."""
        timings = self.completion.timings
        return _per_second(timings.prompt_n, timings.prompt_ms) if timings else None

    @property
    def generation_speed(self) -> float | None:
        """Return how many tokens were generated in a second."""
        timings = self.completion.timings
        return _per_second(timings.predicted_n, timings.predicted_ms) if timings else None

    @property
    def cached_share(self) -> float | None:
        """Return how much of the prompt was kept from before, in per cent."""
        usage = self.completion.usage
        if usage is None or not usage.prompt_tokens:
            return None
        return usage.cached_tokens / usage.prompt_tokens * 100


def _per_second(tokens: int, milliseconds: float) -> float | None:
    return tokens / milliseconds * 1000 if milliseconds else None


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server told when it was asked last.

    props: what the server is. models: those that a router could load, else none. model: of
    these, the one that is shown; None if no model is in memory or on its way. loaded: what the
    model in memory is, for a server with a single model the same as props. metrics: counters and
    gauges of each model in memory, by its id, that of a single one is empty; none if the server
    keeps none.
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
        """Return whether the server loads and unloads models when it is told to."""
        return self.is_router and not self.props.is_front

    @property
    def build_info(self) -> str:
        """Return the version of the server."""
        return self.props.build_info

    @property
    def modalities(self) -> Modalities:
        """Return what the server's single model can take besides text."""
        return self.props.modalities

    @property
    def model_name(self) -> str | None:
        """Return what people call the model in memory, None if there is none."""
        if self.is_router:
            return self.model.id if self.model else None
        return self.props.model_name

    @property
    def default_model(self) -> str | None:
        """Return the model of agents that name none; None if the server has only one.

        An agent that was set up for a single model goes on with it when the server becomes a
        router, which wants to know the model of every request.
        """
        if not self.is_router:
            return None
        shown = self.model or next(iter(self.models), None)
        return shown.id if shown else None

    @property
    def in_memory(self) -> dict[str, str]:
        """Return the models that could answer at once, with a word for each.

        The word differs with every start, and is empty if it is not known. The id of a single model
        is empty, too. What stands in front of servers may swap models at any time: there are none.
        """
        if self.props.is_front:
            return {}
        if not self.is_router:
            return {} if self.props.is_sleeping else {"": self.props.instance}
        known = {self.model.id: self.loaded.instance} if self.model and self.loaded else {}
        loaded = [one.id for one in self.models if one.status is ModelStatus.LOADED]
        return {one: known.get(one, "") for one in loaded}

    def is_in_memory(self, model: str | None) -> bool:
        """Tell whether a model, named if the server is a router, could answer at once."""
        return ((model or "") if self.is_router else "") in self.in_memory

    @property
    def context_size(self) -> int | None:
        """Return how many tokens a conversation may have."""
        return self.loaded.n_ctx if self.loaded else None

    @property
    def slots_total(self) -> int | None:
        """Return how many requests can be answered at a time."""
        return self.loaded.total_slots if self.loaded else None

    @property
    def slots_busy(self) -> int | None:
        """Return how many requests are being answered."""
        # The metrics of a server that sleeps are those of the time before.
        if self.status is ServerStatus.SLEEPING:
            return 0
        shown = self.metrics.get(self.model.id if self.model else "", {})
        value = shown.get("requests_processing")
        return None if value is None else int(value)

    def counts(self, metric: str) -> dict[str, int]:
        """Return what a metric has counted for each model in memory, by the model's id."""
        return {model: int(one[metric]) for model, one in self.metrics.items() if metric in one}

    @property
    def present(self) -> frozenset[str]:
        """Return the ids of the models in memory, asleep or not; that of a single one is empty."""
        if not self.is_router:
            return frozenset({""})
        return frozenset(one.id for one in self.models if one.status in IN_MEMORY)

    @property
    def prompt_tokens(self) -> int | None:
        """Return how many tokens all prompts had since the server's start, None if untold."""
        processed = self.counts("prompt_tokens_total")
        cached = self.counts("prompt_tokens_cached_total")
        return sum(processed.values()) + sum(cached.values()) if processed else None

    @property
    def status(self) -> ServerStatus:
        """Return what a server that answers is up to."""
        if any(model.status is ModelStatus.LOADING for model in self.models):
            return ServerStatus.LOADING
        if self.loaded and self.loaded.is_sleeping:
            return ServerStatus.SLEEPING
        return ServerStatus.OK
