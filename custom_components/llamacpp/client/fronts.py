"""Proxies in front of llama-servers, which support a part of their API."""

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
# For a single model, these would keep it in memory, or llama-swap does not pass them on.
_NOT_ASKED = ("/slots", "/metrics", "/models/")


class Front(StrEnum):
    """A known proxy.

    LLAMA_SWAP: starts and stops a llama-server per model. LITELLM: supports only chat.
    """

    LLAMA_SWAP = "llama-swap"
    LITELLM = "LiteLLM"

    @property
    def health_path(self) -> str:
        """Return the path of a health check that does not reach any model."""
        return "/health" if self is Front.LLAMA_SWAP else "/health/liveliness"

    @property
    def proof_path(self) -> str:
        """Return a path that only this program answers."""
        return "/running" if self is Front.LLAMA_SWAP else "/health/liveliness"

    def path_of(self, path: str, model: str | None) -> str:
        """Return the proxy's path for a path of llama-server.

        model: None for paths that concern no model. Raises NotSupportedError if there is none.
        """
        if model is None:
            return path
        if self is Front.LITELLM or path.startswith(_NOT_ASKED):
            raise NotSupportedError(f"{self} does not pass on {path.partition('?')[0]}")
        return f"{UPSTREAM}{quote(model, safe='/:')}{path}"

    @property
    def props(self) -> ServerProps:
        """Return the proxy's properties: a router whose model properties are unknown."""
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
    """Return the models of a proxy with their status.

    running: llama-swap's answer of `/running`, None if unknown.
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
    """Split an address behind llama-swap into llama-swap's own address and the model.

    None if it is not such an address.
    """
    address, found, model = base_url.partition(UPSTREAM)
    return (address, model) if found and model else None
