"""What a model's chat template takes, found out by having the server make prompts."""

from typing import TYPE_CHECKING

from ..server import BadRequestError, NotLlamaServerError, ServerFaultError
from .fitting import Fitting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..server import ChatTemplateCaps, LlamaServerClient
    from .messages import Message
    from .tools import ToolParam

# As long as those of Home Assistant, and with what those of servers have.
CALL_ID = "01K0Q2Z7W8X9Y0A1B2C3D4E5F6"
NAME = "set_it"
SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": "Hello"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {
            "id": CALL_ID,
            "type": "function",
            "function": {"name": NAME, "arguments": '{"name": "it"}'},
        }
    ],
}
RESULT = {"role": "tool", "tool_call_id": CALL_ID, "content": "{}"}
# With the types that tools of Home Assistant have.
_PROPERTIES = {
    "name": {"type": "string", "description": "What"},
    "kind": {"type": "string", "enum": ["one", "two"]},
    "number": {"type": "integer", "minimum": 0, "maximum": 100},
    "is_on": {"type": "boolean"},
    "names": {"type": "array", "items": {"type": "string"}},
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
    """Asks a server what the template of one of its models takes."""

    def __init__(self, client: LlamaServerClient, model: str | None) -> None:
        """Ask nothing yet. model: for a router."""
        self._client = client
        self._model = model

    async def find_out(self, caps: ChatTemplateCaps) -> tuple[bool, Fitting]:
        """Return whether it takes tools, and what it wants of messages.

        caps: what the server says of it. That counts alone where it makes no prompts. Raises
        LlamaServerError if it cannot be asked.
        """
        if not await self._takes([USER]):
            return caps.supports_tools, Fitting()
        has_single_calls = caps.supports_tool_calls and not caps.supports_parallel_tool_calls
        fitting = Fitting(
            has_short_ids=not await self._takes([USER, CALL, RESULT], TOOLS),
            has_single_calls=has_single_calls,
            has_turns=not await self._takes([USER, USER]),
        )
        if not caps.supports_tools:
            return False, fitting
        called = fitting.fitted([SYSTEM, USER, CALL, RESULT])
        return await self._takes(called, TOOLS), fitting

    async def _takes(
        self, messages: Sequence[Message], tools: Sequence[ToolParam] | None = None
    ) -> bool:
        try:
            await self._client.apply_template(messages, tools, self._model)
        except BadRequestError, ServerFaultError, NotLlamaServerError:
            return False
        return True
