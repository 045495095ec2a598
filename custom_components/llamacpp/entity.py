"""What all entities of a server share, and how a turn is made."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.const import CONF_MODEL
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .agent.deltas import AnswerDeltas
from .agent.images import AttachmentError, image_url
from .agent.messages import to_messages
from .agent.options import CONF_MAX_TOOL_ROUNDS, to_request_options
from .agent.tools import to_tools
from .const import DOMAIN, MAX_TOOL_ROUNDS, TURN_SECONDS
from .coordinator import AnswerStats, LlamaCppCoordinator
from .server import ServerTimeoutError

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.config_entries import ConfigSubentry

    from .coordinator import LlamaCppConfigEntry
    from .server import Completion


class LlamaCppEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity of a server, on the server's device."""

    _attr_has_entity_name = True

    def __init__(self, entry: LlamaCppConfigEntry, key: str) -> None:
        """Make the entity; key: what it is among the entities of one server."""
        super().__init__(entry.runtime_data)
        self._attr_unique_id = f"{entry.entry_id}_{key}"
        self._attr_translation_key = key
        self._attr_device_info = dr.DeviceInfo(
            identifiers={(DOMAIN, entry.entry_id)},
            name=entry.title,
            manufacturer="llama.cpp",
            model="llama-server",
            sw_version=self.coordinator.data.build_info,
            configuration_url=self.coordinator.client.base_url,
            entry_type=dr.DeviceEntryType.SERVICE,
        )


class LlamaCppAgentEntity(CoordinatorEntity[LlamaCppCoordinator]):
    """An entity that has a language model at work, on a device of its own."""

    _attr_has_entity_name = True
    _attr_name = None

    def __init__(self, entry: LlamaCppConfigEntry, subentry: ConfigSubentry) -> None:
        """Make the entity for one subentry of a server."""
        super().__init__(entry.runtime_data)
        self.subentry = subentry
        props = self.coordinator.data
        self._attr_unique_id = subentry.subentry_id
        self._attr_device_info = dr.DeviceInfo(
            identifiers={(DOMAIN, subentry.subentry_id)},
            name=subentry.title,
            manufacturer="llama.cpp",
            model=subentry.data.get(CONF_MODEL) or props.model_name,
            sw_version=props.build_info,
            entry_type=dr.DeviceEntryType.SERVICE,
        )

    async def _async_answer(
        self, chat_log: conversation.ChatLog, response_format: dict[str, Any] | None = None
    ) -> str | None:
        """Have the model answer the chat log, running the tools that it calls, until it speaks.

        response_format: what the answer must look like; the model is offered no tools then.
        Returns nothing if there is an answer with words at the end of the chat log, else the
        translations' key of the reason. Raises LlamaServerError, and HomeAssistantError for an
        attachment that cannot be shown to the model.
        """
        images = await self._async_images(chat_log)
        rounds = int(self.subentry.data.get(CONF_MAX_TOOL_ROUNDS, MAX_TOOL_ROUNDS))
        try:
            async with asyncio.timeout(TURN_SECONDS):
                for _round in range(rounds):
                    request = self._request(chat_log, images, response_format)
                    if not await self._async_ask(chat_log, request):
                        break
                else:
                    return "too_many_tool_calls"
        except TimeoutError as err:
            raise ServerTimeoutError(f"The answer took more than {TURN_SECONDS} seconds") from err
        return None if _has_words(chat_log.content[-1]) else "empty_answer"

    async def _async_ask(self, chat_log: conversation.ChatLog, request: dict[str, Any]) -> bool:
        """Send a request, and add what the model answers and what its tools return.

        Returns whether the model has called tools, so that it must be asked again.
        """
        deltas = AnswerDeltas(with_tools="tools" in request)
        has_called = False
        try:
            async with aclosing(self.coordinator.client.stream_chat(request)) as events:
                async for content in chat_log.async_add_delta_content_stream(
                    self.entity_id, deltas.from_events(events)
                ):
                    has_called |= isinstance(content, conversation.ToolResultContent)
        finally:
            chat_log.async_trace(_stats(deltas.completion))
            self.coordinator.async_record_answer(
                AnswerStats(self.entity_id, deltas.completion, deltas.first_text_seconds)
            )
        return has_called

    def _request(
        self,
        chat_log: conversation.ChatLog,
        images: dict[Path, str],
        response_format: dict[str, Any] | None,
    ) -> dict[str, Any]:
        """Return the chat completion to ask for."""
        options = self.subentry.data
        request = {
            "messages": to_messages(chat_log.content, images),
            **to_request_options(options),
        }
        if response_format:
            request["response_format"] = response_format
        elif chat_log.llm_api and chat_log.llm_api.tools:
            request["tools"] = to_tools(chat_log.llm_api)
        if model := options.get(CONF_MODEL):
            request["model"] = model
        return request

    async def _async_images(self, chat_log: conversation.ChatLog) -> dict[Path, str]:
        """Return the pictures that the newest words of the user come with.

        Those of earlier turns were temporary files.
        """
        said = next(
            (
                content
                for content in reversed(chat_log.content)
                if isinstance(content, conversation.UserContent)
            ),
            None,
        )
        if said is None or not said.attachments:
            return {}
        props = self.coordinator.data
        if not (props.is_router or props.modalities.vision):
            # Of a router's models it is not known: there the server refuses the request.
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="model_is_blind")
        try:
            return {
                one.path: await self.hass.async_add_executor_job(image_url, one.path, one.mime_type)
                for one in said.attachments
            }
        except AttachmentError as err:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key=err.key,
                translation_placeholders=err.placeholders,
            ) from err


def _has_words(content: conversation.Content) -> bool:
    return isinstance(content, conversation.AssistantContent) and bool(
        content.content and content.content.strip()
    )


def _stats(completion: Completion) -> dict[str, Any]:
    """Return the tokens of a request under the names that Home Assistant's agents trace them."""
    stats: dict[str, Any] = {}
    if usage := completion.usage:
        stats["stats"] = {
            "input_tokens": usage.prompt_tokens,
            "cached_input_tokens": usage.cached_tokens,
            "output_tokens": usage.completion_tokens,
        }
    if timings := completion.timings:
        stats["timings"] = {
            "prompt_ms": timings.prompt_ms,
            "predicted_ms": timings.predicted_ms,
        }
    return stats
