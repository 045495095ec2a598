"""Media players of a virtual home."""

from typing import TYPE_CHECKING, Any, override

from homeassistant.components.media_player import MediaPlayerEntity
from homeassistant.components.media_player.const import MediaPlayerState
from homeassistant.const import Platform

from .entity import VirtualEntity
from .runtime import add_entities

if TYPE_CHECKING:
    from homeassistant.components.media_player.const import MediaType, RepeatMode
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .runtime import VirtualHomeConfigEntry


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant's signature
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Make the home's media players."""
    add_entities(entry, async_add_entities, Platform.MEDIA_PLAYER, VirtualMediaPlayer)


class VirtualMediaPlayer(VirtualEntity, MediaPlayerEntity):
    """A media player; `media_track` counts the tracks."""

    @override
    def _show_state(self, state: str | None) -> None:
        self._attr_state = None if state is None else MediaPlayerState(state)

    @override
    async def async_turn_on(self) -> None:
        """Turn the player on; it does not play yet."""
        if self.values["state"] == MediaPlayerState.OFF:
            self.change(state="idle")

    @override
    async def async_turn_off(self) -> None:
        """Turn the player off."""
        self.change(state="off")

    @override
    async def async_media_play(self) -> None:
        """Play, or resume."""
        self.change(state="playing")

    @override
    async def async_media_pause(self) -> None:
        """Pause."""
        self.change(state="paused")

    @override
    async def async_media_stop(self) -> None:
        """Stop playing."""
        self.change(state="idle")

    @override
    async def async_media_next_track(self) -> None:
        """Go to the next track."""
        self.change(media_track=(self.values.get("media_track") or 1) + 1)

    @override
    async def async_media_previous_track(self) -> None:
        """Go to the previous track, or back to the start of the first one."""
        self.change(media_track=max(1, (self.values.get("media_track") or 1) - 1))

    @override
    async def async_set_volume_level(self, volume: float) -> None:
        """Set the volume."""
        self.change(volume_level=volume)

    @override
    async def async_mute_volume(self, mute: bool) -> None:
        """Mute or unmute; the volume stays the same."""
        self.change(is_volume_muted=mute)

    @override
    async def async_select_source(self, source: str) -> None:
        """Select the source."""
        self.change(source=source)

    @override
    async def async_set_shuffle(self, shuffle: bool) -> None:
        """Turn shuffle on or off."""
        self.change(shuffle=shuffle)

    @override
    async def async_set_repeat(self, repeat: RepeatMode) -> None:
        """Set the repeat mode."""
        self.change(repeat=repeat)

    @override
    async def async_play_media(
        self, media_type: MediaType | str, media_id: str, **kwargs: Any
    ) -> None:
        """Play a media id."""
        self.change(
            state="playing",
            media_content_type=media_type,
            media_content_id=media_id,
            media_title=media_id,
            media_track=1,
        )
