"""The words of a language: a pack of Home Assistant's, with those that a file of ours adds."""

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import home_assistant_intents as intents

from ..const import DOMAIN
from .pack import kept_pack
from .templates import texts_of
from .words import words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from homeassistant.core import HomeAssistant

    from .things import ExposedEntity

FOLDER = Path(__file__).parent / "sentences"
# The kinds of things and commands that each language is to have words for.
FORM = Path(__file__).with_name("commands.json")
FALLBACK = "en"
# What our files have for commands.
OF_COMMANDS = ("hear", "told", "instead", "without")
# What a sentence is about that is for all things of a kind, and the text for these.
OF_PLACES = {"area": "area", "floor": "floor", "home": "everywhere"}

type Phrase = tuple[str, ...]
type Target = Literal["name", "area", "floor", "home", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class Sentence:
    """A form of command, and the call of a tool that it stands for.

    tool: the tool's name behind its namespace. kinds: of entities that it is for, as
    in `ExposedEntity.kinds`. say: the command with places for `{name}`, `{area}`, `{floor}`,
    `{things}` and the slots. done: what is told when it has worked, None: the model is to speak of
    the result.
    hear: phrases that hint at it. target: what it is about. needs: what a thing must be able to.
    slots: arguments that are taken from what was said, by kind of value. args: arguments that are
    always the same. reads: it changes nothing. name_arg: the argument for the thing.
    """

    tool: str
    kinds: frozenset[str]
    say: str
    hear: tuple[Phrase, ...]
    done: str | None = None
    target: Target = "name"
    needs: str | None = None
    slots: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    reads: bool = False
    name_arg: str = "name"

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Sentence:
        """Read one entry of `commands`."""
        return cls(**{**raw, "kinds": frozenset(raw["kinds"]), "hear": phrases(raw["hear"])})


@dataclass(frozen=True, slots=True)
class Kind:
    """What one kind of things is called.

    all: all of several. plurals: phrases for several. words: phrases for one or more.
    """

    all: str
    plurals: tuple[Phrase, ...]
    words: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """A language's sentences and words; each list of phrases is in the form of `words_of`.

    There is one of each code, so that what is computed of it can be remembered by it.

    later: the sentence for what is to be done later, whose phrases come before a length of time.
    numbers: what they are worth, None for what is no number though words of it are. levels: words
    for a percentage. parts: for parts of a unit of time. ones: articles that count when a length
    of time follows. common: words that are never taken for a slip of another. endings: those that
    the verbs of orders can have, None: any of up to two letters. is_verb_first: orders begin with
    their verb. has_inversion: conditions can begin with theirs.
    """

    code: str
    sentences: tuple[Sentence, ...]
    later: Sentence
    kinds: Mapping[str, Kind]
    lists: Mapping[str, tuple[Phrase, ...]]
    numbers: Mapping[Phrase, float | None]
    levels: Mapping[Phrase, int]
    parts: Mapping[Phrase, float]
    ones: frozenset[str]
    common: frozenset[str]
    endings: frozenset[str] | None
    is_verb_first: bool
    has_inversion: bool
    units: Mapping[str, tuple[Phrase, ...]]
    colors: Mapping[str, str]
    texts: Mapping[str, Any]

    def fitting(self, thing: ExposedEntity) -> tuple[Sentence, ...]:
        """Return the sentences that can be said of a thing."""
        return _fitting(self, thing.kinds, thing.abilities)


@lru_cache(maxsize=1024)
def _fitting(
    language: Language, kinds: tuple[str, ...], abilities: frozenset[str]
) -> tuple[Sentence, ...]:
    return tuple(
        one
        for one in language.sentences
        if one.target == "name"
        and one.kinds.intersection(kinds)
        and (one.needs is None or one.needs in abilities)
    )


def phrases(texts: Iterable[str]) -> tuple[Phrase, ...]:
    """Return texts as phrases."""
    return tuple(dict.fromkeys(words_of(text) for text in texts))


# The languages that were loaded, by the codes by which they were wanted.
_LOADED: dict[str, Language] = {}
_LOADING = Lock()
MAX_CODES = 128


def load(code: str, folder: Path | None = None) -> Language:
    """Return a language by its code, such as `it` or `pt-BR`.

    The words are made of Home Assistant's, with ours added; English if it has none. folder: where
    those of Home Assistant are kept, None: they are made again after a restart. It reads files, and
    making words takes seconds: not to be called in an event loop.
    """
    known = intents.get_languages()
    wanted = next((one for one in (code, code.partition("-")[0]) if one in known), FALLBACK)
    with _LOADING:
        language = _read(wanted, folder)
    if len(_LOADED) < MAX_CODES:
        _LOADED[code] = language
    return language


@lru_cache
def _read(wanted: str, folder: Path | None) -> Language:
    pack = kept_pack(wanted, json.loads(FORM.read_text(encoding="utf-8")), folder)
    texts = {**_own(FALLBACK)["texts"], **pack["texts"]}
    return _language(wanted, with_own({**pack, "texts": texts}, _own(wanted)))


def _own(code: str) -> dict[str, Any]:
    """Return what a language's file of ours has, nothing if there is none."""
    path = FOLDER / f"{code}.json"
    own: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return own


def with_own(pack: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of a pack with our own added; only commands that can be said are kept.

    own: as described in `sentences/README.md`.
    """
    instead = own.get("instead", ())
    texts = {**pack["texts"], **own.get("texts", {})}
    commands = (_command(one, own, texts, instead) for one in pack["commands"])
    words = {name: value for name, value in own.items() if name not in OF_COMMANDS}
    return {
        **_added(_without(pack, instead, own.get("not_now", ())), {**words, "texts": {}}),
        "texts": texts,
        "commands": [one for one in commands if one["say"]],
    }


def _without(
    pack: Mapping[str, Any], instead: Collection[str], cautions: Iterable[str]
) -> dict[str, Any]:
    """Return a pack without the lists, and the words for kinds of things, that ours replace.

    cautions: templates of words that turn an order round: they are no small ones.
    """
    no_small = {words_of(one) for one in _texts(cautions)}
    small = {
        name: [one for one in pack[name] if words_of(one) not in no_small]
        for name in SMALL_LISTS
        if name in pack
    }
    kinds = {
        kind: {**words, "words": ()} if f"kinds {kind}" in instead else words
        for kind, words in pack["kinds"].items()
    }
    replaced = {name: () for name in instead if name in LISTS}
    return {**pack, **small, "kinds": kinds, **replaced}


def _added(of_pack: Any, own: Any) -> Any:
    """Return what a pack has with our own: lists grow, entries are added, the rest is replaced."""
    if isinstance(own, list):
        return [*(of_pack or ()), *_texts(own)]
    if not isinstance(own, dict):
        return own
    known = of_pack or {}
    return known | {
        text: _added(known.get(text), value)
        for name, value in own.items()
        for text in texts_of(name)
    }


def _texts(templates: Iterable[str]) -> list[str]:
    return [text for one in templates for text in texts_of(one)]


def _command(
    of_pack: Mapping[str, Any],
    own: Mapping[str, Any],
    texts: Mapping[str, Any],
    instead: Collection[str],
) -> dict[str, Any]:
    """Return a command of a pack with our own phrases for it and, if we have some, sentences.

    Those for all things of a place are said as those for one thing.
    """
    marks = _marks(of_pack)
    without = {*_texts(own.get("without", ()))}
    is_replaced = any(_is_for(one, marks) for one in instead)
    hear = (
        [] if is_replaced else [one for one in of_pack["hear"] if without.isdisjoint(one.split())]
    )
    more = _texts(text for one in _for(own.get("hear", {}), marks) for text in one)
    say = of_pack["say"] if hear or not more else f"{more[0]} {{name}}"
    found = {**of_pack, "hear": [*dict.fromkeys((*hear, *more))], "say": say}
    for sentences in _for(own.get("told", {}), marks):
        found |= zip(("say", "done"), sentences, strict=False)
    if things := texts.get(OF_PLACES.get(of_pack.get("target", "name"), "")):
        found |= {one: found[one].replace("{name}", things) for one in ("say", "done")}
    return found


def _marks(command: Mapping[str, Any]) -> set[str]:
    """Return what a command is told from others by."""
    kinds, slots = command["kinds"], command.get("slots", {})
    target = command.get("target", "name")
    return {
        command["tool"],
        *kinds,
        *(kind.partition(".")[0] for kind in kinds),
        *((target, "all") if target in OF_PLACES else (target,)),
        *slots,
        *slots.values(),
        *command.get("args", {}).values(),
    }


def _for(own: Mapping[str, list[str]], marks: set[str]) -> Iterator[list[str]]:
    """Yield what is there for a command with these marks."""
    yield from (texts for key, texts in own.items() if _is_for(key, marks))


def _is_for(key: str, marks: set[str]) -> bool:
    """Return whether a key is for what has these marks: `light area, fan area` is for either."""
    return any(marks.issuperset(one.split()) for one in key.split(","))


def _for_places(sentences: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Return sentences; those for all things of a place hear what those for one of them do."""
    return tuple(
        replace(
            one,
            hear=tuple(
                dict.fromkeys(
                    phrase
                    for other in (one, *sentences)
                    if other is one or _is_same_for_one(one, other)
                    for phrase in other.hear
                )
            ),
        )
        for one in sentences
    )


def _is_same_for_one(of_place: Sentence, other: Sentence) -> bool:
    return (
        of_place.target in OF_PLACES
        and other.target == "name"
        and (other.tool, other.slots, other.args) == (of_place.tool, of_place.slots, of_place.args)
        and of_place.kinds <= other.kinds
    )


def _language(code: str, raw: Mapping[str, Any]) -> Language:
    return Language(
        code=code,
        sentences=_for_places([Sentence.of(one) for one in raw["commands"]]),
        later=Sentence.of(raw["later"]),
        kinds={
            name: Kind(
                one.get("every") or raw["texts"]["every"].format(things=one["all"]),
                phrases([one["all"], *one.get("plurals", ())]),
                phrases([one["all"], *one.get("plurals", ()), *one["words"]]),
            )
            for name, one in raw["kinds"].items()
        },
        lists={name: phrases(raw.get(name, ())) for name in LISTS},
        numbers={words_of(words): value for words, value in raw["numbers"].items()},
        levels={words_of(words): value for words, value in raw["levels"].items()},
        parts={words_of(words): value for words, value in raw.get("parts", {}).items()},
        ones=frozenset(word for one in phrases(raw.get("ones", ())) for word in one),
        common=frozenset(
            one[0] for name in COMMON for one in phrases(raw.get(name, ())) if len(one) == 1
        ),
        endings=None if raw["endings"] is None else frozenset(raw["endings"]),
        is_verb_first=raw["is_verb_first"],
        has_inversion=raw["has_inversion"],
        units={name: phrases(words) for name, words in raw.get("units", {}).items()},
        colors={words_of(word)[0]: color for word, color in raw["colors"].items()},
        texts=raw["texts"],
    )


# Words that change nothing.
SMALL_LISTS = ("small", "fillers", "prepositions")
# Of these lists no word is taken for a slip of another one.
COMMON = ("prepositions", "fillers", "also", "questions", "time", "not_now", "common")
LISTS = (
    *("prepositions", "fillers", "also", "all", "home", "polite", "questions", "chat", "time"),
    *("yes", "degrees", "small", "orders", "except", "not_now", "here", "thanks"),
    *("by", "to", "more", "less", "up", "down", "points", "other", "all_of_them", "no", "subjects"),
    *("because", "because_behind_comma", "only", "keep", "missing", "too", "meant", "not"),
)


async def async_load(hass: HomeAssistant, code: str | None = None) -> Language:
    """Return a language, by default that of the home."""
    wanted = code or hass.config.language
    if wanted in _LOADED:
        return _LOADED[wanted]
    return await hass.async_add_executor_job(load, wanted, Path(hass.config.cache_path(DOMAIN)))
