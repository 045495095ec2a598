"""Errors of the client, and how to read them from a response."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from . import json_fields

if TYPE_CHECKING:
    from .json_fields import JsonObject

MESSAGE_LIMIT = 500
# llama-server's messages when it fails to parse the model's output.
_UNREAD = re.compile("pars|grammar stack|does not match|invalid diff", re.IGNORECASE)
# Without Jinja, the server's error names this flag and has no type of its own.
JINJA_FLAG = "requires --jinja"


class LlamaServerError(Exception):
    """Base class of the client's errors; `str()` gives a plain English message."""


class CannotConnectError(LlamaServerError):
    """Nothing listens at the address, or the connection broke during the answer."""


class CertificateError(CannotConnectError):
    """The server's certificate is not trusted: self-signed, expired, or for another host."""


class NoTlsError(CannotConnectError):
    """The server answers, but not over HTTPS."""


class ServerTimeoutError(CannotConnectError):
    """A time limit passed."""


class ServerAwayError(CannotConnectError):
    """The server stopped responding during a request: two health checks in a row failed."""


class ModelLoadingError(LlamaServerError):
    """The server is up but still loading its model; retry later."""


class AuthenticationError(LlamaServerError):
    """The server requires an API key or rejects the given one."""


class BadRequestError(LlamaServerError):
    """The server rejects this request; retrying does not help."""


class ContextExceededError(BadRequestError):
    """The prompt is longer than the context of a slot.

    `n_prompt_tokens` and `n_ctx` are in tokens, None where the server does not report them.
    """

    def __init__(self, message: str, n_prompt_tokens: int | None, n_ctx: int | None) -> None:
        """Store the message and both token counts."""
        super().__init__(message)
        self.n_prompt_tokens = n_prompt_tokens
        self.n_ctx = n_ctx


class NotSupportedError(BadRequestError):
    """The server was started without a feature that the request needs."""


class JinjaOffError(NotSupportedError):
    """The server runs with `--no-jinja`, so it does not accept tools."""


class ServerFaultError(LlamaServerError):
    """The server, or a proxy in front of it, failed to handle a request."""

    @property
    def is_unread(self) -> bool:
        """Return whether the server failed to parse the model's output."""
        return _UNREAD.search(str(self)) is not None


class MalformedStreamError(LlamaServerError):
    """The stream is not in llama-server's format or stops too early."""


class NotLlamaServerError(LlamaServerError):
    """The address speaks HTTP, but is not a llama-server."""


class OllamaError(NotLlamaServerError):
    """The server is Ollama."""


class LmStudioError(NotLlamaServerError):
    """The server is LM Studio."""


class VllmError(NotLlamaServerError):
    """The server is vLLM."""


class RedirectError(NotLlamaServerError):
    """The server redirects to another address, which the client does not follow.

    `target` is the destination without credentials and query. `base_url` is the address that would
    answer the same request, None if it is on another host or if there is none.
    """

    def __init__(self, target: str, base_url: str | None = None) -> None:
        """Store both addresses."""
        super().__init__(f"The address points to another one: {target}")
        self.target = target
        self.base_url = base_url


def error_from_answer(status: int, body: object) -> LlamaServerError:
    """Return the error that a response of the server stands for.

    status: HTTP status; 200 for an error event inside a stream that started well.
    body: the decoded JSON, or anything else (text, None) if the response is not JSON.
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
    """Map a response without an error object: a proxy or another program wrote it."""
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
