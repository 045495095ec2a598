"""Programs that stand in front of llama-servers and pass on a part of what those can do."""

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import quote

from . import json_fields
from .errors import NotSupportedError
from .types import ChatTemplateCaps, Modalities, ModelStatus, ServerProps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .types import Model

UPSTREAM = "/upstream/"
# What these are asked of a single model would keep it in memory, or is not theirs.
_NOT_ASKED = ("/slots", "/metrics", "/models/")


class Front(StrEnum):
    """Which of these programs it is.

    LLAMA_SWAP: starts a llama-server for each model, and stops it again. LITELLM: knows chats only.
    """

    LLAMA_SWAP = "llama-swap"
    LITELLM = "LiteLLM"

    @property
    def health_path(self) -> str:
        """Return the path that tells whether it is alive, without asking any model."""
        return "/health" if self is Front.LLAMA_SWAP else "/health/liveliness"

    @property
    def proof_path(self) -> str:
        """Return the path that no other program answers."""
        return "/running" if self is Front.LLAMA_SWAP else "/health/liveliness"

    def path_of(self, path: str, model: str | None) -> str:
        """Return where it answers what a llama-server answers at a path.

        model: None for what is no matter of a model. Raises NotSupportedError if it does not.
        """
        if model is None:
            return path
        if self is Front.LITELLM or path.startswith(_NOT_ASKED):
            raise NotSupportedError(f"{self} does not pass on {path.partition('?')[0]}")
        return f"{UPSTREAM}{quote(model, safe='/:')}{path}"

    @property
    def props(self) -> ServerProps:
        """Return what it is like: a router whose models are not known from outside."""
        return ServerProps(
            n_ctx=None,
            total_slots=None,
            model_alias="",
            model_path="",
            model_ftype="",
            build_info=self.value,
            chat_template="",
            bos_token="",
            eos_token="",
            chat_template_caps=ChatTemplateCaps(),
            modalities=Modalities(),
            is_router=True,
            is_sleeping=False,
            has_metrics=False,
            has_slots=False,
            instance="",
            is_front=True,
        )


_STATUSES = {"ready": ModelStatus.LOADED, "starting": ModelStatus.LOADING}


def with_status(models: Iterable[Model], running: json_fields.JsonObject | None) -> list[Model]:
    """Return the models of a front with what it does with them.

    running: what llama-swap says of those that run, None if nothing is known.
    """
    if running is None:
        return [replace(one, status=ModelStatus.UNKNOWN) for one in models]
    states = {
        json_fields.text(one, "model"): json_fields.text(one, "state") or ""
        for one in json_fields.items(running, "running") or []
        if isinstance(one, dict)
    }
    return [
        replace(one, status=_STATUSES.get(states.get(one.id, ""), ModelStatus.UNLOADED))
        for one in models
    ]


def upstream(base_url: str) -> tuple[str, str] | None:
    """Return the address of a llama-swap, and the model, of an address behind it.

    None if it does not look like such an address.
    """
    address, found, model = base_url.partition(UPSTREAM)
    return (address, model) if found and model else None
