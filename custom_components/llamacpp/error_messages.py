"""Explain the client's errors to users."""

from homeassistant.exceptions import HomeAssistantError

from .app import AppFaultError, ModelDownloadingError
from .client import (
    AuthenticationError,
    BadRequestError,
    CannotConnectError,
    CertificateError,
    ContextExceededError,
    JinjaOffError,
    LlamaServerError,
    LmStudioError,
    MalformedStreamError,
    ModelLoadingError,
    NotLlamaServerError,
    NoTlsError,
    NotSupportedError,
    OllamaError,
    RedirectError,
    ServerTimeoutError,
    VllmError,
)
from .const import DOMAIN, LOGGER


class HomeTooLargeError(ContextExceededError):
    """The home alone is too large for the context."""


class ToolsTooLargeError(ContextExceededError):
    """The tools alone are too large for the context."""


# Subclasses first: the first match gives the key.
_KEYS: tuple[tuple[type[LlamaServerError], str], ...] = (
    (ServerTimeoutError, "timeout"),
    (CertificateError, "certificate"),
    (NoTlsError, "no_tls"),
    (CannotConnectError, "cannot_connect"),
    (ModelDownloadingError, "model_downloading"),
    (ModelLoadingError, "model_loading"),
    (AppFaultError, "app_fault"),
    (AuthenticationError, "invalid_auth"),
    (HomeTooLargeError, "home_too_large"),
    (ToolsTooLargeError, "tools_too_large"),
    (ContextExceededError, "context_exceeded"),
    (RedirectError, "redirected"),
    (OllamaError, "is_ollama"),
    (LmStudioError, "is_lm_studio"),
    (VllmError, "is_vllm"),
    (NotLlamaServerError, "not_llama_server"),
    (JinjaOffError, "needs_jinja"),
    (NotSupportedError, "not_supported"),
    (BadRequestError, "bad_request"),
    (MalformedStreamError, "malformed_answer"),
    (LlamaServerError, "server_error"),
)


def translation_key(err: LlamaServerError) -> str:
    """Return the translation key for an error."""
    return next(key for kind, key in _KEYS if isinstance(err, kind))


def translation_placeholders(err: LlamaServerError) -> dict[str, str]:
    """Return the placeholders for an error's translation."""
    placeholders = {"message": str(err)}
    if isinstance(err, ContextExceededError):
        placeholders["needed"] = str(err.n_prompt_tokens or "?")
        placeholders["context"] = str(err.n_ctx or "?")
    if isinstance(err, ModelDownloadingError):
        percent = err.download.percent
        placeholders["model"] = err.download.model
        placeholders["percent"] = "?" if percent is None else str(int(percent))
    if isinstance(err, RedirectError):
        placeholders["address"] = err.target or "?"
    return placeholders


def to_home_assistant_error(err: LlamaServerError) -> HomeAssistantError:
    """Log the error and return a translated one for the author of an automation."""
    LOGGER.warning("A server of a language model has failed: %s", err)
    return HomeAssistantError(
        translation_domain=DOMAIN,
        translation_key=translation_key(err),
        translation_placeholders=translation_placeholders(err),
    )
