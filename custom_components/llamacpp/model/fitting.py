"""Adapt messages to a model's chat template.

Most templates accept any chat log. Some reject it, and with it the whole turn: Mistral's want tool
call ids of nine letters and digits, and alternating user and assistant messages, Llama's one tool
call per message. Others omit past tool calls: the model then repeats them.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..client import ChatMessage

SHORT_ID_CHARACTERS = 9
# Placeholder for an empty answer of the assistant, understood in all languages.
SAID = "OK."
# Separators between two messages of the same role.
_OTHERS = {
    "user": {"role": "assistant", "content": SAID},
    "assistant": {"role": "user", "content": ""},
}
_SHORT_ID = re.compile(rf"[A-Za-z0-9]{{{SHORT_ID_CHARACTERS}}}")


@dataclass(frozen=True, slots=True)
class Fitting:
    """Requirements of a template; the defaults suit an unknown one.

    has_short_ids: call ids of nine letters and digits; no template rejects them.
    has_single_calls: one tool call per message, followed by its result. has_silent_calls: no text
    beside a tool call. has_written_calls: calls as text, since the template renders no others.
    has_turns: user and assistant alternate, starting with the user.
    """

    has_short_ids: bool = True
    has_single_calls: bool = False
    has_silent_calls: bool = False
    has_written_calls: bool = False
    has_turns: bool = False

    def fitted(self, messages: Iterable[ChatMessage]) -> list[ChatMessage]:
        """Return equivalent messages that fit the template. messages: as from `to_messages`."""
        fitting = list(messages)
        if self.has_short_ids:
            fitting = [_with_short_ids(one) for one in fitting]
        if self.has_single_calls:
            fitting = _one_by_one(fitting)
        if self.has_written_calls:
            fitting = [_with_written_calls(one) for one in fitting]
        elif self.has_silent_calls:
            fitting = [{**one, "content": None} if "tool_calls" in one else one for one in fitting]
        return _in_turns(fitting) if self.has_turns else fitting


def add_merged(messages: list[ChatMessage], message: ChatMessage) -> None:
    """Append a message, or merge it into the last one if that has the same role."""
    last = messages[-1] if messages else None
    if last is None or last["role"] != message["role"]:
        messages.append(message)
    elif isinstance(last["content"], str) and isinstance(message["content"], str):
        messages[-1] = {**last, "content": f"{last['content']}\n{message['content']}"}
    else:
        messages[-1] = {**last, "content": [*_parts(last), *_parts(message)]}


def _parts(message: ChatMessage) -> list[dict[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def short_id(call_id: str) -> str:
    """Return an id of nine letters and digits, always the same for the same id."""
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return sha256(call_id.encode()).hexdigest()[:SHORT_ID_CHARACTERS]


def _with_short_ids(message: ChatMessage) -> ChatMessage:
    if message["role"] == "tool":
        return {**message, "tool_call_id": short_id(message["tool_call_id"])}
    if "tool_calls" in message:
        calls = [{**one, "id": short_id(one["id"])} for one in message["tool_calls"]]
        return {**message, "tool_calls": calls}
    return message


def _with_written_calls(message: ChatMessage) -> ChatMessage:
    if "tool_calls" not in message:
        return message
    functions = (one["function"] for one in message["tool_calls"])
    calls = [f'{{"name": "{one["name"]}", "arguments": {one["arguments"]}}}' for one in functions]
    words = [message["content"]] if message["content"] else []
    return {**message, "content": "\n".join([*words, *calls])}


def _one_by_one(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """Return messages with one tool call each; text and thinking stay with the first."""
    single: list[ChatMessage] = []
    for message in messages:
        first, *others = message.get("tool_calls") or [None]
        if message["role"] == "tool":
            single.insert(_place_behind(message["tool_call_id"], single), message)
        elif first is None:
            single.append(message)
        else:
            single.append({**message, "tool_calls": [first]})
            single += [_silent_call(one) for one in others]
    return single


def _silent_call(call: dict[str, Any]) -> ChatMessage:
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _place_behind(call_id: str, messages: Sequence[ChatMessage]) -> int:
    """Return the index behind the newest message with this call, the end if there is none."""
    for place in range(len(messages), 0, -1):
        if any(one["id"] == call_id for one in messages[place - 1].get("tool_calls", ())):
            return place
    return len(messages)


def _in_turns(messages: Iterable[ChatMessage]) -> list[ChatMessage]:
    """Return messages in which user and assistant alternate; calls and results do not count.

    Merges adjacent messages of the same role. Inserts an empty user message before an assistant
    that speaks first, so that the system prompt stays unchanged.
    """
    turns: list[ChatMessage] = []
    # None until the first user message: the assistant cannot have the first turn.
    speaker: str | None = None
    for message in messages:
        role = message["role"]
        if role not in ("user", "assistant"):
            add_merged(turns, message) if role == "system" else turns.append(message)
            continue
        is_call = "tool_calls" in message
        if speaker is None and role == "assistant":
            turns.append({"role": "user", "content": ""})
        elif role == speaker and not is_call and not _has_last_words(turns, role):
            turns.append(_OTHERS[role])
        if is_call or not _has_last_words(turns, role):
            turns.append(message)
        else:
            add_merged(turns, message)
        speaker = speaker or "user" if is_call else role
    return turns


def _has_last_words(turns: Sequence[ChatMessage], role: str) -> bool:
    """Return whether the last message has this role and no tool calls."""
    return bool(turns) and turns[-1]["role"] == role and "tool_calls" not in turns[-1]
