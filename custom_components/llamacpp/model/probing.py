"""Probe a model's chat template by rendering prompts on the server."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..client import BadRequestError, NotLlamaServerError, ServerFaultError
from .fitting import Fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..client import ChatMessage, ChatTemplateCaps, LlamaServerClient, ToolParam

# As long as Home Assistant's call ids, with letters and digits as in those of servers.
CALL_ID = "01K0Q2Z7W8X9Y0A1B2C3D4E5F6"
NAME = "set_it"
# Argument of the probe's call, and text beside the call.
THING, WORDS = "Lamp 27", "I do it."
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hello"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": CALL_ID,
            "type": "function",
            "function": {"name": NAME, "arguments": json.dumps({"name": THING})},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": CALL_ID, "content": "{}"}
# All argument types of Home Assistant's tools.
_PROPERTIES = {
    "name": {"type": "string", "description": "What"},
    "kind": {"type": "string", "enum": ["one", "two"]},
    "number": {"type": "integer", "minimum": 0, "maximum": 100},
    "is_on": {"type": "boolean"},
    "names": {"type": "array", "items": {"type": "string"}},
    "one_or_all": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "any": {"description": "Whatever it is"},
}
TOOLS: list[ToolParam] = [
    {
        "type": "function",
        "function": {
            "name": NAME,
            "description": "Sets it",
            "parameters": {"type": "object", "properties": _PROPERTIES, "required": ["name"]},
        },
    },
    {
        "type": "function",
        "function": {"name": "get_it", "parameters": {"type": "object", "properties": {}}},
    },
]


class TemplateProbe:
    """Probes the chat template of one model."""

    def __init__(self, client: LlamaServerClient, model: str | None, *, autoload: bool) -> None:
        """Initialize the probe. model: for a router. autoload: the router may load the model."""
        self._client = client
        self._model = model
        self._autoload = autoload

    async def find_out(self, caps: ChatTemplateCaps) -> tuple[bool, Fitting]:
        """Return whether the template supports tools, and its requirements for messages.

        caps: as the server reports them. They alone count if the server renders no prompts. Raises
        LlamaServerError if the server cannot be asked.
        """
        if await self._prompt([USER]) is None:
            return caps.supports_tools, Fitting()
        fitting = Fitting(
            has_short_ids=await self._prompt([USER, CALL, RESULT], TOOLS) is None,
            has_single_calls=caps.supports_tool_calls and not caps.supports_parallel_tool_calls,
            has_turns=await self._prompt([USER, USER]) is None,
        )
        if not caps.supports_tools:
            return False, fitting
        silent, spoken = [
            await self._prompt(fitting.fitted([SYSTEM, USER, one, RESULT]), TOOLS)
            for one in (CALL, {**CALL, "content": WORDS})
        ]
        if silent is None:
            return False, fitting
        has_written_calls = THING not in silent
        has_silent_calls = not has_written_calls and THING not in (spoken or "")
        fitting = replace(
            fitting, has_silent_calls=has_silent_calls, has_written_calls=has_written_calls
        )
        return True, fitting

    async def _prompt(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolParam] | None = None
    ) -> str | None:
        """Return the rendered prompt, None if the template rejects the messages or tools."""
        try:
            return await self._client.apply_template(
                messages, tools, self._model, autoload=self._autoload
            )
        except BadRequestError, ServerFaultError, NotLlamaServerError:
            return None
