"""Recognise other model servers and proxies by their answers."""

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import json_fields
from .errors import (
    AuthenticationError,
    LlamaServerError,
    LmStudioError,
    OllamaError,
    VllmError,
)
from .fronts import Front

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .errors import NotLlamaServerError

    type Ask = Callable[[str], Awaitable[bytes]]

_ALIVE = "I'm alive!"
_UNEXPECTED = "Unexpected endpoint or method"
_OLLAMA = "Ollama is running"
_PATHS = ("/", "/running", "/version", "/v1/models", Front.LITELLM.proof_path)
_BY_OWNER = {"vllm": VllmError, "library": OllamaError, "organization_owner": LmStudioError}


async def recognise(ask: Ask) -> Front | None:
    """Return the proxy in front of the llama-servers here, None if it is not a known one.

    ask: returns the body at a path and raises LlamaServerError. Raises OllamaError, LmStudioError
    or VllmError for these programs, and AuthenticationError if the server requires a key.
    """
    found = await asyncio.gather(*(_answer(ask, one) for one in _PATHS))
    answers = dict(zip(_PATHS, found, strict=True))
    if answers[Front.LITELLM.proof_path] == _ALIVE:
        return Front.LITELLM
    if json_fields.items(_object(answers["/running"]), "running") is not None:
        return Front.LLAMA_SWAP
    if kind := _program(answers):
        raise kind("The address is that of another program")
    for one in answers.values():
        if isinstance(one, AuthenticationError):
            raise one
    return None


async def _answer(ask: Ask, path: str) -> Any:
    """Return the decoded JSON or the text at a path, or the error."""
    try:
        body = await ask(path)
    except LlamaServerError as err:
        return err
    text = body.decode(errors="replace")
    try:
        return json.loads(text)
    except ValueError, RecursionError:
        return text


def _program(answers: Mapping[str, Any]) -> type[NotLlamaServerError] | None:
    root, unknown, version = answers["/"], answers["/running"], answers["/version"]
    if isinstance(root, str) and root.startswith(_OLLAMA):
        return OllamaError
    if (json_fields.text(_object(unknown), "error") or "").startswith(_UNEXPECTED):
        return LmStudioError
    models = answers["/v1/models"]
    for model in json_fields.items(_object(models), "data") or []:
        if kind := _BY_OWNER.get(json_fields.text(_object(model), "owned_by") or ""):
            return kind
    # With an API key, vLLM protects only `/v1/models`.
    is_guarded = isinstance(models, AuthenticationError)
    return VllmError if is_guarded and set(_object(version)) == {"version"} else None


def _object(value: object) -> json_fields.JsonObject:
    return value if isinstance(value, Mapping) else {}
