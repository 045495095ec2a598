"""Vocabulary of a language: Home Assistant's, extended by a file of ours."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import home_assistant_intents as intents
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from .pack import kept_pack
from .templates import texts_of
from .words import SHORT, words_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from homeassistant.core import HomeAssistant

    from .things import ExposedEntity

FOLDER = Path(__file__).parent / "sentences"
# Languages with a file of ours.
OWN = frozenset(one.stem for one in FOLDER.glob("*.json"))
# The kinds of entities and commands that each language needs words for.
FORM = Path(__file__).with_name("commands.json")
FALLBACK = "en"
# Keys of our files that extend commands.
OF_COMMANDS = ("hear", "hear_last", "told", "instead", "without")
# Stands for no ending in a group of them.
NO_ENDING = "-"
# Target of a command for all entities of a kind to the text that replaces their name.
OF_PLACES = {"area": "area", "floor": "floor", "home": "everywhere"}

type Phrase = tuple[str, ...]
type Target = Literal["name", "area", "floor", "home", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class Sentence:
    """A form of command, and the tool call that it stands for.

    tool: its name without namespace. kinds: of entities that it is for, as in
    `ExposedEntity.kinds`. say: the command with placeholders for `{name}`, `{area}`, `{floor}`,
    `{things}` and the slots. done: its confirmation, None: the model talks about the result.
    hear: phrases that hint at it. hear_last: those that do so at the end only. target: what it
    acts on. needs: an ability that the entity needs. slots: arguments from the utterance, with
    their value types. args: constant arguments. reads: it changes nothing. name_arg: the argument
    for the entity's name.
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
    hear_last: tuple[Phrase, ...] = ()

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Sentence:
        """Parse one entry of `commands`."""
        heard = {name: phrases(raw.get(name, ())) for name in ("hear", "hear_last")}
        return cls(**{**raw, "kinds": frozenset(raw["kinds"]), **heard})


@dataclass(frozen=True, slots=True)
class Kind:
    """Words for one kind of entity.

    all: text for all of them. plurals: phrases for several. words: phrases for one or more.
    """

    all: str
    plurals: tuple[Phrase, ...]
    words: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """Sentences and words of a language; each list of phrases has the form of `words_of`.

    There is one object per code, so that it can be the key of caches.

    later: the sentence for delayed commands, whose phrases come before a duration. numbers: their
    values, None for a phrase that is not a number although it contains the words of one. ordinals:
    values of words such as `second`. levels: words for percentages. parts: for fractions of a unit
    of time. ones: articles that mean one before a duration. common: words that are never typos of
    others. endings: possible endings of verbs in orders, None: any of up to two letters.
    declension: groups of endings that a name can have in a sentence. is_verb_first: orders begin
    with their verb. has_inversion: conditions can begin with their verb.
    """

    code: str
    sentences: tuple[Sentence, ...]
    later: Sentence
    kinds: Mapping[str, Kind]
    lists: Mapping[str, tuple[Phrase, ...]]
    numbers: Mapping[Phrase, float | None]
    ordinals: Mapping[str, int]
    levels: Mapping[Phrase, int]
    parts: Mapping[Phrase, float]
    ones: frozenset[str]
    common: frozenset[str]
    endings: frozenset[str] | None
    declension: tuple[frozenset[str], ...]
    is_verb_first: bool
    has_inversion: bool
    units: Mapping[str, tuple[Phrase, ...]]
    colors: Mapping[str, str]
    texts: Mapping[str, Any]

    def fitting(self, thing: ExposedEntity) -> tuple[Sentence, ...]:
        """Return the commands that an entity supports."""
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


# Loaded languages, by requested code.
_LOADED: dict[str, Language] = {}
_LOADING: HassKey[dict[str, asyncio.Future[Language]]] = HassKey(f"{DOMAIN}_languages")
MAX_CODES = 128


def load(code: str, folder: Path | None = None) -> Language:
    """Return a language by its code, such as `it` or `pt-BR`.

    Extends Home Assistant's vocabulary by ours; falls back to English. folder: cache for the packs,
    None: build them again after each restart. Reads files, and building a pack takes seconds: do
    not call this in the event loop.
    """
    language = _read(_known(code), folder)
    if len(_LOADED) < MAX_CODES:
        _LOADED[code] = language
    return language


@lru_cache(maxsize=MAX_CODES)
def help_phrases(code: str) -> frozenset[Phrase]:
    """Return the phrases that ask what the agent can do, none without a file of ours.

    code: as for `load`. Reads a file, but no pack.
    """
    return frozenset(phrases(_texts(_own(_known(code)).get("help", ()))))


def has_own_words(code: str) -> bool:
    """Return whether we have words of our own for a language, such as those that reverse an order.

    code: as for `load`.
    """
    return not OWN.isdisjoint((code, code.partition("-")[0]))


def _known(code: str) -> str:
    """Return the code of the language to load for a code."""
    known = intents.get_languages()
    return next((one for one in (code, code.partition("-")[0]) if one in known), FALLBACK)


@lru_cache
def _read(wanted: str, folder: Path | None) -> Language:
    pack = kept_pack(wanted, json.loads(FORM.read_text(encoding="utf-8")), folder)
    texts = {**_own(FALLBACK)["texts"], **pack["texts"]}
    return _language(wanted, with_own({**pack, "texts": texts}, _own(wanted)))


def _own(code: str) -> dict[str, Any]:
    """Return the content of our file for a language, empty if there is none."""
    path = FOLDER / f"{code}.json"
    own: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return own


def with_own(pack: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pack extended by our own words, without commands that have no text.

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
    """Return a pack without the lists, and the words for kinds of entities, that ours replace.

    cautions: templates of words that reverse an order: removes them from the small words.
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
    """Merge our words into those of a pack: extend lists, add entries, replace the rest."""
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
    """Return a command of a pack with our own phrases and, if there are any, our sentences.

    Commands for all entities of an area, a floor or the home use the sentences for one entity.
    """
    marks = _marks(of_pack)
    without = {*_texts(own.get("without", ()))}
    is_replaced = any(_is_for(one, marks) for one in instead)
    hear = (
        [] if is_replaced else [one for one in of_pack["hear"] if without.isdisjoint(one.split())]
    )
    more = _texts(text for one in _for(own.get("hear", {}), marks) for text in one)
    say = of_pack["say"] if hear or not more else f"{more[0]} {{name}}"
    last = _texts(text for one in _for(own.get("hear_last", {}), marks) for text in one)
    found = {**of_pack, "hear": [*dict.fromkeys((*hear, *more))], "say": say}
    if last:
        found["hear_last"] = last
    for sentences in _for(own.get("told", {}), marks):
        found |= zip(("say", "done"), sentences, strict=False)
    if things := texts.get(OF_PLACES.get(of_pack.get("target", "name"), "")):
        found |= {one: found[one].replace("{name}", things) for one in ("say", "done")}
    return found


def _marks(command: Mapping[str, Any]) -> set[str]:
    """Return the features of a command that keys of our files select it by."""
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
    """Yield the entries for a command with these features."""
    yield from (texts for key, texts in own.items() if _is_for(key, marks))


def _is_for(key: str, marks: set[str]) -> bool:
    """Return whether a key selects a command: `light area, fan area` selects either."""
    return any(marks.issuperset(one.split()) for one in key.split(","))


def _for_places(sentences: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Return sentences; those for several entities also get the phrases of those for one."""
    found = []
    for one in sentences:
        same = [one, *(other for other in sentences if _is_same_for_one(one, other))]
        hear = dict.fromkeys(phrase for other in same for phrase in other.hear)
        hear_last = dict.fromkeys(phrase for other in same for phrase in other.hear_last)
        found.append(replace(one, hear=tuple(hear), hear_last=tuple(hear_last)))
    return tuple(found)


def _is_same_for_one(of_place: Sentence, other: Sentence) -> bool:
    return (
        of_place.target in OF_PLACES
        and other.target == "name"
        and (other.tool, other.slots, other.args) == (of_place.tool, of_place.slots, of_place.args)
        and of_place.kinds <= other.kinds
    )


def _kinds(raw: Mapping[str, Any]) -> dict[str, Kind]:
    """Return the words for kinds of entities; a lock is also what it locks: a door."""
    kinds = {
        name: Kind(
            one.get("every") or raw["texts"]["every"].format(things=one["all"]),
            phrases([one["all"], *one.get("plurals", ())]),
            phrases([one["all"], *one.get("plurals", ()), *one["words"]]),
        )
        for name, one in raw["kinds"].items()
    }
    if (lock := kinds.get("lock")) and (door := kinds.get("cover.door")):
        lock = Kind(
            lock.all,
            tuple(dict.fromkeys((*lock.plurals, *door.plurals))),
            tuple(dict.fromkeys((*lock.words, *door.words))),
        )
        kinds["lock"] = lock
    return kinds


def _declined[T](values: Mapping[str, T], declension: Iterable[Collection[str]]) -> dict[str, T]:
    """Return values by their words, in all forms that these have in a sentence."""
    plain = {words_of(word)[0]: value for word, value in values.items()}
    declined = {
        word.removesuffix(ending) + other: value
        for word, value in plain.items()
        for endings in declension
        for ending in endings
        if ending and word.endswith(ending) and len(word) - len(ending) >= SHORT
        for other in endings
    }
    return declined | plain


def _language(code: str, raw: Mapping[str, Any]) -> Language:
    declension = tuple(
        frozenset(one.removeprefix(NO_ENDING) for one in group.split())
        for group in raw.get("declension", ())
    )
    return Language(
        code=code,
        sentences=_for_places([Sentence.of(one) for one in raw["commands"]]),
        later=Sentence.of(raw["later"]),
        kinds=_kinds(raw),
        lists={name: phrases(raw.get(name, ())) for name in LISTS},
        numbers=_numbers(raw),
        ordinals=_declined(raw.get("ordinals", {}), declension),
        levels={words_of(words): value for words, value in raw["levels"].items()},
        parts={words_of(words): value for words, value in raw.get("parts", {}).items()},
        ones=frozenset(word for one in phrases(raw.get("ones", ())) for word in one),
        common=frozenset(
            one[0] for name in COMMON for one in phrases(raw.get(name, ())) if len(one) == 1
        ),
        endings=None if raw["endings"] is None else frozenset(raw["endings"]),
        declension=declension,
        is_verb_first=raw["is_verb_first"],
        has_inversion=raw["has_inversion"],
        units={name: phrases(words) for name, words in raw.get("units", {}).items()},
        colors=_declined(raw["colors"], declension),
        texts=raw["texts"],
    )


def _numbers(raw: Mapping[str, Any]) -> dict[Phrase, float | None]:
    """Return the numbers; `a bit` is none, though it may begin with the word for one."""
    numbers = {words_of(words): value for words, value in raw["numbers"].items()}
    no_numbers = (one for one in phrases(raw.get("small", ())) if len(one) > 1)
    return {one: None for one in no_numbers if one[:1] in numbers} | numbers


# Lists of words that change nothing.
SMALL_LISTS = ("small", "fillers", "prepositions")
# Lists with words that are never typos of others.
COMMON = ("prepositions", "fillers", "also", "questions", "time", "not_now", "common")
LISTS = (
    *("prepositions", "fillers", "also", "all", "home", "questions", "chat", "time"),
    *("yes", "degrees", "small", "orders", "except", "not_now", "here", "thanks"),
    *("by", "to", "more", "less", "up", "down", "points", "other", "all_of_them", "no", "subjects"),
    *("copulas", "speakers", "percents", "modals", "possessives"),
    *(
        "because_or_which",
        "within",
        "infinitives",
        "rather",
        "there",
        "already",
        "finished",
        "one_item",
    ),
    *("denials", "senses", "clitics", "forms"),
    *("because", "because_behind_comma", "only", "keep", "missing", "too", "meant", "not"),
    *("asked", "passive", "perfect", "preferred"),
    *("that", "auxiliaries", "past", "except_around"),
)


async def async_load(hass: HomeAssistant, code: str | None = None) -> Language:
    """Return a language, by default that of the home."""
    wanted = code or hass.config.language
    if wanted in _LOADED:
        return _LOADED[wanted]
    loading = hass.data.setdefault(_LOADING, {})
    if (job := loading.get(wanted)) is None:
        folder = Path(hass.config.cache_path(DOMAIN))
        job = loading[wanted] = hass.async_add_executor_job(load, wanted, folder)
        job.add_done_callback(lambda _: loading.pop(wanted, None))
    # Others may wait for the same language.
    return await asyncio.shield(job)
