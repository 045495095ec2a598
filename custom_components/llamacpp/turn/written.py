"""Tool calls as text in the answer, for models whose chat template does not know tools.

They are lines of Python in a code block: the format in which Gemma was trained to call, and the
shortest that other models infer from the tools' signatures.
"""

import json
import keyword
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model.fitting import add_merged
from ..tool_calls.tool_names import ToolNames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..client import ChatMessage, ToolParam
    from ..tool_calls.arguments import Schema

OPEN, CLOSE = "```tool_code\n", "\n```"
OPEN_RESULT = "```tool_output\n"
# Written in place of a name that does not exist.
UNKNOWN = "?"
# Maximum number of choices in a signature: the grammar knows the others.
MAX_CHOICES = 6
PROTOCOL = f"""\
You can call these tools. What has a "?" may be left out; arguments come in this order:
{{signatures}}
To call, end your answer with a block like this, one call a line:
{OPEN}tool_name(first="text", third=["text"]){CLOSE}
You are then given what they return, as tool_output. Do what users want, also when they only hint \
at it. Write "{UNKNOWN}" for the name of something that is not there. Everything else you say in \
plain words."""


@dataclass(frozen=True, slots=True)
class WrittenTool:
    """A tool in the prompt. name: the shortest unique one. full_name: that of the API."""

    name: str
    full_name: str
    description: str
    parameters: Schema
    # False if an argument's name is no Python identifier: then all are in a dictionary.
    is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        """Check the names of the arguments."""
        is_plain = all(one.isidentifier() and not keyword.iskeyword(one) for one in self.properties)
        object.__setattr__(self, "is_plain", is_plain)

    @property
    def properties(self) -> Mapping[str, Schema]:
        """Return the schemas of the arguments worth writing, by name, in their order."""
        properties: Mapping[str, Schema] = self.parameters.get("properties", {})
        return {
            key: schema
            for key, schema in properties.items()
            # An optional argument with a single choice is not worth writing.
            if self.is_required(key) or len(schema.get("items", schema).get("enum", "??")) > 1
        }

    @property
    def brackets(self) -> tuple[str, str]:
        """Return the opening and closing brackets of the arguments."""
        return ("(", ")") if self.is_plain else ("({", "})")

    def is_required(self, key: str) -> bool:
        """Return whether an argument is required."""
        return key in self.parameters.get("required", ())

    def key(self, key: str) -> str:
        """Return the text before the value of an argument."""
        return f"{key}=" if self.is_plain else f"{json.dumps(key)}: "

    def call(self, arguments: Mapping[str, Any]) -> str:
        """Return the text of a call with these arguments."""
        order = [*(key for key in self.properties if key in arguments), *arguments]
        written = (
            f"{self.key(key)}{written_value(arguments[key])}" for key in dict.fromkeys(order)
        )
        begin, end = self.brackets
        return f"{self.name}{begin}{', '.join(written)}{end}"

    def signature(self) -> str:
        """Return the tool's signature and description for the prompt, on one line."""
        arguments = (
            f"{key}{'' if self.is_required(key) else '?'}{_type_text(schema)}"
            for key, schema in self.properties.items()
        )
        description = " ".join(self.description.split())
        return f"{self.name}({', '.join(arguments)}){f' - {description}' if description else ''}"


class WrittenTools:
    """The tools that a model finds in its prompt. prompt: their protocol and signatures."""

    def __init__(self, tools: Sequence[ToolParam]) -> None:
        """Initialize with these tools."""
        functions = [one["function"] for one in tools]
        names = self._names = ToolNames(one["name"] for one in functions)
        self.tools = [
            WrittenTool(
                names.shortest(one["name"]),
                one["name"],
                one.get("description", ""),
                one.get("parameters", {}),
            )
            for one in functions
        ]
        self._by_name = {one.full_name: one for one in self.tools}
        signatures = "\n".join(one.signature() for one in self.tools)
        self.prompt = PROTOCOL.format(signatures=signatures)

    def messages(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Return messages for a template that only knows the roles system, user and assistant.

        The tools come first: they change less often than the home. messages: from `to_messages`.
        """
        written: list[ChatMessage] = [{"role": "system", "content": self.prompt}]
        for message in messages:
            # Templates require alternating roles.
            add_merged(written, self._plain(message))
        return written

    def _plain(self, message: ChatMessage) -> ChatMessage:
        if message["role"] == "system":
            content = message["content"]
            for tool in self.tools:
                # Home Assistant's prompt has the tools' full names.
                content = content.replace(tool.full_name, tool.name)
            return {"role": "system", "content": content}
        if message["role"] == "tool":
            return {"role": "user", "content": f"{OPEN_RESULT}{message['content']}{CLOSE}"}
        if "tool_calls" not in message:
            return message
        calls = [self._call(**one["function"]) for one in message["tool_calls"]]
        block = "\n".join(calls).join((OPEN, CLOSE))
        content = (message["content"] or "").rstrip()
        plain = {key: value for key, value in message.items() if key != "tool_calls"}
        return {**plain, "content": f"{content}\n{block}" if content else block}

    def _call(self, name: str, arguments: str) -> str:
        found = self._names.find(name)
        tool = self._by_name[found] if found else WrittenTool(name, name, "", {})
        return tool.call(json.loads(arguments))


def written_value(value: Any) -> str:
    """Return a value as JSON, which the parser of Python calls also accepts."""
    return json.dumps(value, ensure_ascii=False)


def _type_text(schema: Schema) -> str:
    """Return the type of an argument for the signature; empty for a text."""
    types = list(dict.fromkeys(_types(schema)))
    return f": {'|'.join(types)}" if types and types != ["text"] else ""


def _types(schema: Schema) -> Iterator[str]:
    choices = schema.get("enum", ())
    if options := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        for option in options:
            yield from _types(option)
    elif 0 < len(choices) <= MAX_CHOICES:
        yield from map(written_value, choices)
    elif "items" in schema:
        yield f"[{'|'.join(dict.fromkeys(_types(schema['items'])))}]"
    elif {"minimum", "maximum"} <= schema.keys():
        yield f"{schema['minimum']}..{schema['maximum']}"
    else:
        kinds = schema.get("type", [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            yield "text" if kind == "string" else kind
