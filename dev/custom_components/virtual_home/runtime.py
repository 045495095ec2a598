"""Runtime data of a loaded home."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from homeassistant.config_entries import ConfigEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

    from .entity import VirtualEntity
    from .home import HomeEntity, VirtualHome


@dataclass
class HomeData:
    """The home, and the entities that the platforms made of it."""

    home: VirtualHome
    entities: list[VirtualEntity] = field(default_factory=list)

    @property
    def platforms(self) -> list[str]:
        """Return the domains that the home has entities of."""
        return sorted({item.domain for item in self.home.entities.values()})


type VirtualHomeConfigEntry = ConfigEntry[HomeData]


def add_entities(
    entry: VirtualHomeConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    domain: str,
    build: Callable[[HomeEntity], VirtualEntity],
) -> None:
    """Make the home's entities of one domain."""
    data = entry.runtime_data
    made = [build(item) for item in data.home.entities.values() if item.domain == domain]
    data.entities.extend(made)
    async_add_entities(made)
