"""Other programs that serve models, known by what they answer."""

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
    """Return what stands in front of llama-servers here, None if it is nothing that is known.

    ask: returns the body at a path, and raises LlamaServerError. Raises OllamaError, LmStudioError
    or VllmError for these programs, and AuthenticationError if nothing is told without a key.
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
    """Return the decoded JSON, or the text, that is answered at a path, or the error."""
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
    # With a key, vLLM guards its models only.
    is_guarded = isinstance(models, AuthenticationError)
    return VllmError if is_guarded and set(_object(version)) == {"version"} else None


def _object(value: object) -> json_fields.JsonObject:
    return value if isinstance(value, Mapping) else {}
