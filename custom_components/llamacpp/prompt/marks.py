"""What we know of contents of a chat log, which are Home Assistant's and stay as they are."""

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from homeassistant.components.conversation import Content


class Marks[T]:
    """Values by content, for as long as the content lives.

    Home Assistant knows contents by their identity, and two that say the same are equal: so they
    are told apart by identity here, too.
    """

    def __init__(self) -> None:
        """Begin with nothing marked."""
        self._known: dict[int, tuple[ref[Content], T]] = {}

    def set(self, content: Content, value: T) -> None:
        """Mark a content; a mark that it had is gone."""
        key = id(content)
        # The id is free for another content as soon as this one is no more.
        self._known[key] = (ref(content, lambda _: self._known.pop(key, None)), value)

    def get(self, content: Content) -> T | None:
        """Return the content's mark, None if it has none."""
        known = self._known.get(id(content))
        return known[1] if known and known[0]() is content else None
