"""What all entities of a server share, and how a turn is made."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.const import CONF_MODEL
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .agent.deltas import AnswerDeltas
from .agent.messages import to_messages
from .agent.tools import to_tools
from .const import DOMAIN, MAX_TOOL_ROUNDS, TURN_SECONDS
from .coordinator import AnswerStats, LlamaCppCoordinator
from .errors import async_spoken
from .server import ServerTimeoutError

if TYPE_CHECKING:
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

    async def _async_answer(self, chat_log: conversation.ChatLog, language: str) -> None:
        """Have the model answer the chat log, running the tools that it calls, until it speaks.

        The chat log always ends with something to say, in `language` if it is not the model that
        says it. Raises LlamaServerError.
        """
        try:
            async with asyncio.timeout(TURN_SECONDS):
                for _round in range(MAX_TOOL_ROUNDS):
                    if not await self._async_ask(chat_log):
                        break
                else:
                    await self._async_say(chat_log, language, "too_many_tool_calls")
        except TimeoutError as err:
            raise ServerTimeoutError(f"The answer took more than {TURN_SECONDS} seconds") from err
        if not _has_words(chat_log.content[-1]):
            await self._async_say(chat_log, language, "empty_answer")

    async def _async_ask(self, chat_log: conversation.ChatLog) -> bool:
        """Send the chat log once, and add what the model answers and what its tools return.

        Returns whether the model has called tools, so that it must be asked again.
        """
        deltas = AnswerDeltas(with_tools=chat_log.llm_api is not None)
        has_called = False
        try:
            async with aclosing(
                self.coordinator.client.stream_chat(self._request(chat_log))
            ) as events:
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

    def _request(self, chat_log: conversation.ChatLog) -> dict[str, Any]:
        """Return the chat completion to ask for.

        What is not configured is not sent: the server and its model know their defaults better.
        """
        request: dict[str, Any] = {"messages": to_messages(chat_log.content)}
        if chat_log.llm_api and chat_log.llm_api.tools:
            request["tools"] = to_tools(chat_log.llm_api)
        if model := self.subentry.data.get(CONF_MODEL):
            request["model"] = model
        return request

    async def _async_say(self, chat_log: conversation.ChatLog, language: str, key: str) -> None:
        """Add a sentence of our own, where the model left the user without one."""
        chat_log.async_add_assistant_content_without_tools(
            conversation.AssistantContent(
                agent_id=self.entity_id, content=await async_spoken(self.hass, language, key)
            )
        )


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
