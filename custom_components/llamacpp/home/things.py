"""The home as the model may know it: what is exposed to Assist, and where it is."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from .words import words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Device(NamedTuple):
    """A device with an entity that is exposed."""

    id: str
    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """Return what it is called: it has no aliases."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class ExposedEntity:
    """An entity that is exposed.

    names: its name, then its aliases. area: id of its area. abilities: what can be set of it, by
    the names that the sentences use. device: that it is of. domain: of its id. kinds: what it is in
    the sentences' terms, the most precise first.
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
        """Work out once what is asked of every thing in every turn."""
        domain = self.entity_id.partition(".")[0]
        precise = (f"{domain}.{self.device_class}",) if self.device_class else ()
        object.__setattr__(self, "domain", domain)
        object.__setattr__(self, "kinds", (*precise, domain))

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.names[0]

    def is_like(self, other: ExposedEntity) -> bool:
        """Return whether another one is of the same domain."""
        return self.domain == other.domain


@dataclass(frozen=True, slots=True)
class Place:
    """An area or a floor. names: its name, then its aliases. floor: id of an area's floor."""

    names: tuple[str, ...]
    floor: str | None = None

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.names[0]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Home:
    """All that is exposed. areas, floors: by id.

    Two homes are never equal: what is made of one is remembered with `remembered`.
    """

    things: tuple[ExposedEntity, ...]
    areas: Mapping[str, Place] = field(default_factory=dict)
    floors: Mapping[str, Place] = field(default_factory=dict)


@lru_cache(maxsize=16384)
def name_words(name: str) -> tuple[str, ...]:
    """Return the words of the name of a thing or place, as `words_of`.

    After a change, those of all the other names of a large home are still known.
    """
    return words_of(name)


def remembered[T](make: Callable[[Home], T]) -> Callable[[Home], T]:
    """Have what is made of a home made once, and remembered as long as there is that home."""
    known: WeakKeyDictionary[Home, T] = WeakKeyDictionary()

    def get(home: Home) -> T:
        try:
            return known[home]
        except KeyError:
            # Of several threads all get what the first one has made.
            return known.setdefault(home, make(home))

    return get
