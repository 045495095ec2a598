"""Permissions for conversations."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from homeassistant.auth.permissions.const import POLICY_CONTROL

if TYPE_CHECKING:
    from homeassistant.auth.models import User
    from homeassistant.core import Context, HomeAssistant


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of an action, or the speaker.

    user_id: the Home Assistant user, None for automations and voice satellites. user: also None if
    the user no longer exists.
    """

    user_id: str | None
    user: User | None

    @classmethod
    async def async_of(cls, hass: HomeAssistant, context: Context) -> Self:
        """Return the caller of a context."""
        if context.user_id is None:
            return cls(None, None)
        return cls(context.user_id, await hass.auth.async_get_user(context.user_id))

    @property
    def may_access_all(self) -> bool:
        """Return whether the caller may access the conversations of all users."""
        return self.user_id is None or (self.user is not None and self.user.is_admin)

    def may_access(self, owner: str | None) -> bool:
        """Return whether the caller may read and continue a conversation.

        owner: its user. Anyone with its id may use a conversation without owner, such as an
        automation's: the first user who continues it becomes its owner.
        """
        return self.may_access_all or owner in (None, self.user_id)

    def may_control(self, entity_id: str | None) -> bool:
        """Return whether Home Assistant's permissions let the caller control an entity.

        entity_id: None if it is unknown; the caller then needs permission to control all entities.
        """
        if self.user_id is None:
            return True
        if self.user is None:
            return False
        permissions = self.user.permissions
        if entity_id is None:
            return permissions.access_all_entities(POLICY_CONTROL)
        return permissions.check_entity(entity_id, POLICY_CONTROL)
