"""Summarize what the tools of a turn have changed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from homeassistant.components.conversation import (
    AssistantContent,
    ToolResultContent,
    UserContent,
)
from homeassistant.helpers import llm
from homeassistant.helpers.intent import IntentResponseType

from ..prompt.marks import Marks
from ..tool_calls.names import clipped
from ..tool_calls.tool_names import short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from homeassistant.components.conversation import ChatLog, Content

# Maximum number of names in the answer; nobody listens to more.
MAX_NAMES = 8
NOT_ENDED = "The tool has not ended in time. It may have done its work all the same."
# Results that we have added, for tools that timed out.
_UNFINISHED = Marks[bool]()


@dataclass(frozen=True, slots=True)
class Done:
    """Changes made by the tools of the newest turn.

    names: of the changed entities and items, without duplicates. unfinished: tools that timed out.
    has_read: whether a read-only tool returned a result.
    """

    names: Sequence[str]
    unfinished: Sequence[str]
    has_read: bool = False

    @property
    def is_something(self) -> bool:
        """Return whether a tool changed something, or may have."""
        return bool(self.names or self.unfinished)

    @classmethod
    def by(cls, chat_log: ChatLog) -> Self:
        """Collect the changes made by the calls of the chat log's newest turn."""
        turn = _newest_turn(chat_log)
        calls = {call.id: call for one in turn for call in _calls_of(one)}
        reading = {
            tool.name
            for tool in (chat_log.llm_api.tools if chat_log.llm_api else ())
            if tool.annotations.read_only
        }
        names: dict[str, None] = {}
        unfinished: dict[str, None] = {}
        has_read = False
        for content in turn:
            if not isinstance(content, ToolResultContent):
                continue
            if content.tool_name in reading:
                has_read |= not _has_failed(content)
            elif _UNFINISHED.get(content):
                unfinished[short_name(content.tool_name)] = None
            elif not _has_failed(content):
                call = calls.get(content.tool_call_id)
                names |= dict.fromkeys(_names(content, call.tool_args if call else {}))
        return cls(_listed(names), _listed(unfinished), has_read)


def _has_failed(content: ToolResultContent) -> bool:
    data = content.result.data
    is_error = data.get("response_type") == IntentResponseType.ERROR.value
    return content.result.error or "error" in data or is_error


def _listed(names: Iterable[str]) -> list[str]:
    return [clipped(name) for name in names][:MAX_NAMES]


def add_missing_results(chat_log: ChatLog) -> None:
    """Add a `NOT_ENDED` error result to each call of the newest turn that has no result.

    Chat templates require a result for each call.
    """
    turn = _newest_turn(chat_log)
    answered = {one.tool_call_id for one in turn if isinstance(one, ToolResultContent)}
    for content in turn:
        for call in _calls_of(content):
            if call.id not in answered:
                added = ToolResultContent(
                    agent_id=content.agent_id,
                    tool_call_id=call.id,
                    tool_name=call.tool_name,
                    result=llm.ToolResult(data={"error": NOT_ENDED}, error=True),
                )
                chat_log.async_add_assistant_content_without_tools(added)
                _UNFINISHED.set(added, value=True)


def _newest_turn(chat_log: ChatLog) -> list[AssistantContent | ToolResultContent]:
    """Return the content after the newest user message."""
    turn: list[AssistantContent | ToolResultContent] = []
    for content in chat_log.content:
        if isinstance(content, UserContent):
            turn.clear()
        elif isinstance(content, (AssistantContent, ToolResultContent)):
            turn.append(content)
    return turn


def _calls_of(content: Content) -> list[llm.ToolInput]:
    return (isinstance(content, AssistantContent) and content.tool_calls) or []


def _names(content: ToolResultContent, arguments: Mapping[str, Any]) -> list[str]:
    """Return the names of what a tool has changed: the entities in its result, the item on a list.

    Without any: the tool's short name.
    """
    data = content.result.data.get("data")
    targets = data.get("success") if isinstance(data, dict) else None
    found = [
        one
        for one in (targets if isinstance(targets, list) else ())
        if isinstance(one, dict) and one.get("name")
    ]
    entities = [one for one in found if one.get("type") == "entity"]
    names = [str(one["name"]) for one in entities or found]
    if isinstance(item := arguments.get("item"), str) and item:
        return [f"{item} ({', '.join(names)})" if names else item]
    return names or [short_name(content.tool_name)]
