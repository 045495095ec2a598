"""Read lists out ourselves: a small model invents items."""

from typing import TYPE_CHECKING

from ...home.spoken import bare

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.helpers import llm

LIST_TOOL = "get_items"


def read_out(call: llm.ToolInput, result: llm.ToolResult | None) -> str:
    """Return a list's name and items, empty for the result of any other tool."""
    items = result.data.get("items") if result else None
    if bare(call.tool_name) != LIST_TOOL or not isinstance(items, list):
        return ""
    # The number of an empty list needs no translation.
    told = ", ".join(_item(one) for one in items if isinstance(one, dict)) or len(items)
    return f"{call.tool_args.get('todo_list', '')}: {told}."


def _item(item: Mapping[str, object]) -> str:
    due = item.get("due")
    return f"{item.get('summary', '')} ({due})" if due else str(item.get("summary", ""))
