"""Our data on contents of a chat log, which are Home Assistant's and stay unchanged."""

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from homeassistant.components.conversation import Content


class Marks[T]:
    """Values by content, as long as the content lives.

    Keyed by identity: contents with the same text are equal, and Home Assistant also tells them
    apart by identity.
    """

    def __init__(self) -> None:
        """Initialize without values."""
        self._known: dict[int, tuple[ref[Content], T]] = {}

    def set(self, content: Content, value: T) -> None:
        """Set the value of a content, replacing any other."""
        key = id(content)
        # Another content may reuse the id after this one is gone.
        self._known[key] = (ref(content, lambda _: self._known.pop(key, None)), value)

    def get(self, content: Content) -> T | None:
        """Return the value of a content, None if it has none."""
        known = self._known.get(id(content))
        return known[1] if known and known[0]() is content else None
