"""To-do lists of a virtual home."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, override
from uuid import uuid4

from homeassistant.components.todo.const import TodoItemStatus
from homeassistant.components.todo.entity import TodoItem, TodoListEntity
from homeassistant.const import Platform
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util

from .checks import moment
from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's to-do lists."""
    add_entities(entry, async_add_entities, Platform.TODO, VirtualTodoList)


class VirtualTodoList(VirtualEntity, TodoListEntity):
    """A to-do list; its state is the number of open items."""

    @override
    def _show(self, name: str, value: Any) -> None:
        if name == "todo_items":
            value = [_item(stored) for stored in value or []]
        super()._show(name, value)

    @override
    async def async_create_todo_item(self, item: TodoItem) -> None:
        """Add an item at the end."""
        new = replace(item, uid=uuid4().hex, status=item.status or TodoItemStatus.NEEDS_ACTION)
        self.change(todo_items=[*self._stored, _plain_item(new)])

    @override
    async def async_update_todo_item(self, item: TodoItem) -> None:
        """Change an item."""
        self._find(item.uid)
        self.change(
            todo_items=[
                _plain_item(item) if stored["uid"] == item.uid else stored
                for stored in self._stored
            ]
        )

    @override
    async def async_delete_todo_items(self, uids: list[str]) -> None:
        """Delete items."""
        self.change(todo_items=[stored for stored in self._stored if stored["uid"] not in uids])

    @override
    async def async_move_todo_item(self, uid: str, previous_uid: str | None = None) -> None:
        """Move an item behind another one, or to the top."""
        moved = self._stored[self._find(uid)]
        rest = [stored for stored in self._stored if stored["uid"] != uid]
        place = 0
        if previous_uid is not None:
            place = 1 + [stored["uid"] for stored in rest].index(previous_uid)
        self.change(todo_items=[*rest[:place], moved, *rest[place:]])

    @property
    def _stored(self) -> list[dict[str, str | None]]:
        items: list[dict[str, str | None]] = self.values["todo_items"]
        return items

    def _find(self, uid: str | None) -> int:
        for index, stored in enumerate(self._stored):
            if stored["uid"] == uid:
                return index
        raise ServiceValidationError(f"{self.entity_id} has no item {uid}")


def _plain_item(item: TodoItem) -> dict[str, str | None]:
    """Return an item as it is stored."""
    return {
        "summary": item.summary,
        "uid": item.uid,
        "status": item.status,
        "due": None if item.due is None else item.due.isoformat(),
        "description": item.description,
        "completed": None if item.completed is None else item.completed.isoformat(),
    }


def _item(stored: dict[str, str | None]) -> TodoItem:
    """Return a stored item as an item of Home Assistant."""
    due = stored.get("due")
    completed = stored.get("completed")
    return TodoItem(
        summary=stored["summary"],
        uid=stored["uid"],
        status=TodoItemStatus(stored["status"] or TodoItemStatus.NEEDS_ACTION),
        due=None if due is None else moment(due),
        description=stored.get("description"),
        completed=None if completed is None else dt_util.parse_datetime(completed),
    )
