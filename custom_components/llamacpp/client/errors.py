"""What can go wrong between this client and a llama-server, and how an answer tells it."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from . import json_fields

if TYPE_CHECKING:
    from .json_fields import JsonObject

MESSAGE_LIMIT = 500
# What servers say of an answer that their parser fails on.
_UNREAD = re.compile("pars|grammar stack|does not match|invalid diff", re.IGNORECASE)
# What a server that lacks it names in its error, which has no type of its own.
JINJA_FLAG = "requires --jinja"


class LlamaServerError(Exception):
    """Root of all errors of this package; `str()` gives a plain English message."""


class CannotConnectError(LlamaServerError):
    """Nobody answers at the address, or the connection broke before the answer was complete."""


class CertificateError(CannotConnectError):
    """The server's certificate is not trusted: it is self-made, too old, or another host's."""


class NoTlsError(CannotConnectError):
    """Something answers, but not by https."""


class ServerTimeoutError(CannotConnectError):
    """A time limit passed."""


class ServerAwayError(CannotConnectError):
    """The server stopped to answer while a request waited: its health check failed twice."""


class ModelLoadingError(LlamaServerError):
    """The server is up but still loads its model; asking again later helps."""


class AuthenticationError(LlamaServerError):
    """The server wants an API key, or another one."""


class BadRequestError(LlamaServerError):
    """The server refuses this request; the same request will be refused again."""


class ContextExceededError(BadRequestError):
    """The prompt is longer than the context of a slot.

    `n_prompt_tokens` and `n_ctx` are counts of tokens, None where the server did not tell.
    """

    def __init__(self, message: str, n_prompt_tokens: int | None, n_ctx: int | None) -> None:
        """Keep the message and both counts of tokens."""
        super().__init__(message)
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx


class NotSupportedError(BadRequestError):
    """The server was started without the feature that the request needs."""


class JinjaOffError(NotSupportedError):
    """The server runs with `--no-jinja`, so it takes no tools."""


class ServerFaultError(LlamaServerError):
    """The server, or a proxy before it, failed to serve a request."""

    @property
    def is_unread(self) -> bool:
        """Tell whether the server does not understand what its model has written."""
        return _UNREAD.search(str(self)) is not None


class MalformedStreamError(LlamaServerError):
    """The stream of an answer is not what a llama-server sends, or stops too early."""


class NotLlamaServerError(LlamaServerError):
    """Something speaks HTTP at the address, but it is no llama-server."""


class OllamaError(NotLlamaServerError):
    """It is Ollama."""


class LmStudioError(NotLlamaServerError):
    """It is LM Studio."""


class VllmError(NotLlamaServerError):
    """It is vLLM."""


class RedirectError(NotLlamaServerError):
    """The address points to another one, which is not followed.

    `target` is where it points to, without what is not for everybody's eyes. `base_url` is the
    address under which the same request would be answered, None if it is of another host, or if
    there is none.
    """

    def __init__(self, target: str, base_url: str | None = None) -> None:
        """Keep both addresses."""
        super().__init__(f"The address points to another one: {target}")
        self.target = target
        self.base_url = base_url


def error_from_answer(status: int, body: object) -> LlamaServerError:
    """Return the error that an answer of the server stands for.

    status: HTTP status; for an error event inside a stream that began well, 200.
    body: the decoded JSON, or anything else (text, None) if the answer was no JSON.
    """
    detail = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(detail, str):
        detail = {"message": detail}
    if not isinstance(detail, Mapping):
        return _foreign_error(status)
    if status < HTTPStatus.BAD_REQUEST:
        status = json_fields.integer(detail, "code") or HTTPStatus.INTERNAL_SERVER_ERROR
    return _own_error(status, detail)


def _foreign_error(status: int) -> LlamaServerError:
    """Map an answer that carries no error object, so a proxy or another program wrote it."""
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AuthenticationError(f"Access was refused (HTTP {status})")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFaultError(f"The server, or a proxy before it, failed (HTTP {status})")
    if status < HTTPStatus.BAD_REQUEST or status in (
        HTTPStatus.NOT_FOUND,
        HTTPStatus.METHOD_NOT_ALLOWED,
    ):
        return NotLlamaServerError(f"This is not an answer of a llama-server (HTTP {status})")
    return BadRequestError(f"The request was refused (HTTP {status})")


def _own_error(status: int, detail: JsonObject) -> LlamaServerError:
    """Map llama-server's own error object."""
    message = json_fields.text(detail, "message")
    if not message:
        message = f"The server reported an error without a message (HTTP {status})"
    message = message[:MESSAGE_LIMIT]
    match detail.get("type"):
        case "exceed_context_size_error":
            n_prompt_tokens = json_fields.integer(detail, "n_prompt_tokens")
            return ContextExceededError(
                message, n_prompt_tokens, json_fields.integer(detail, "n_ctx")
            )
        case "not_supported_error" | "feature_disabled":
            return NotSupportedError(message)
        case "authentication_error":
            return AuthenticationError(message)
        case _ if JINJA_FLAG in message:
            return JinjaOffError(message)
        case _:
            return _error_by_status(status, message)


def _error_by_status(status: int, message: str) -> LlamaServerError:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AuthenticationError(message)
    if status == HTTPStatus.SERVICE_UNAVAILABLE and "loading" in message.lower():
        return ModelLoadingError("The server is still loading its model")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ServerFaultError(message)
    return BadRequestError(message)
