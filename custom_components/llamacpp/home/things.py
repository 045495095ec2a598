"""The home as the model may know it: entities exposed to Assist, their areas and floors."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from .words import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Device(NamedTuple):
    """A device with an exposed entity."""

    id: str
    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return its name; devices have no aliases."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class ExposedEntity:
    """An exposed entity.

    names: its name, then its aliases. area: id of its area. abilities: settable properties, named
    as in the sentences. device: its device. domain: of its id. kinds: domain with device class,
    then domain, as in the sentences.
    """

    entity_id: str
    names: tuple[str, ...]
    device_class: str | None = None
    area: str | None = None
    abilities: frozenset[str] = frozenset()
    device: Device | None = None
    domain: str = field(init=False, compare=False)
    kinds: tuple[str, ...] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Precompute the properties that every turn needs for every entity."""
        domain = self.entity_id.partition(".")[0]
        precise = (f"{domain}.{self.device_class}",) if self.device_class else ()
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "kinds", (*precise, domain))

    @property
    def name(self) -> str:
        """Return the main name."""
        return self.names[0]

    def is_like(self, other: ExposedEntity) -> bool:
        """Return whether both entities have the same domain."""
        return self.domain == other.domain


@dataclass(frozen=True, slots=True)
class Place:
    """An area or a floor. names: its name, then its aliases. floor: id of an area's floor."""

    names: tuple[str, ...]
    floor: str | None = None

    @property
    def name(self) -> str:
        """Return the main name."""
        return self.names[0]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Home:
    """All exposed entities. areas, floors: by id.

    Two homes are never equal: use `remembered` to cache values derived from one.
    """

    things: tuple[ExposedEntity, ...]
    areas: Mapping[str, Place] = field(default_factory=dict)
    floors: Mapping[str, Place] = field(default_factory=dict)


@lru_cache(maxsize=16384)
def name_words(name: str) -> tuple[str, ...]:
    """Return the words of an entity's or area's name, as `words_of` does.

    Cached by name: after a change, the other names of a large home need no new work.
    """
    return words_of(name)


def remembered[T](make: Callable[[Home], T]) -> Callable[[Home], T]:
    """Cache the result of a function for each home, for as long as the home exists."""
    known: WeakKeyDictionary[Home, T] = WeakKeyDictionary()

    def get(home: Home) -> T:
        try:
            return known[home]
        except KeyError:
            # If several threads compute it, all get the result of the first.
            return known.setdefault(home, make(home))

    return get
