"""Build a language's vocabulary from Home Assistant's sentences and translations.

Native speakers have written these for some 65 languages. The files in `sentences` add what Home
Assistant lacks.
"""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import home_assistant_intents as intents
from hassil import parse_sentence
from hassil.expression import Alternative, ListReference, RuleReference, TextChunk
from hassil.numbers import get_rbnf_engine
from homeassistant import components
from homeassistant.const import __version__ as HA_VERSION  # noqa: N812 - as core names it
from homeassistant.util.file import WriteError, write_utf8_file_atomic

from ..const import LOGGER
from . import templates
from .templates import MAX_CHOICES, MAX_DEPTH, MAX_TEXTS, expand, literal, slots_in
from .words import PERCENT, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from hassil.expression import Expression

    from .language import Phrase

COMPONENTS = Path(components.__file__).parent
# Home Assistant has translations of all names in English.
ENGLISH = "en"
# Maximum number of phrases for one command.
MAX_PHRASES = 120
# A longer phrase is a whole sentence.
MAX_WORDS = 4
MAX_NUMBER = 100
# Numbers in words beyond `MAX_NUMBER`: color temperatures of white light.
KELVINS = range(2000, 6600, 100)
DEGREE = "\u00b0"
# Number of intents in which a word must precede slots to count as an article.
OFTEN = 2
# Share of the commonest word beside a name in questions that other such words have at least.
OFTEN_BESIDE = 0.25
# How Home Assistant's answers join names: `{{ a[:-1] | join(', ') }} and {{ a[-1] }}`.
_JOIN = re.compile(r"""join\([^)]*\)\s*\}\}\s*(\w+)\s*\{\{|join\(["'] (\w+) ["']\)""")
_ANSWER_NAME = re.compile(r"\{\{\s*slots\.(\w+)\s*(?:\|\s*\w+\s*)?\}\}")
# Translation of `Yes` and `No` in every language.
YES_NO = ("media_player", ("entity_component", "_", "state_attributes", "is_volume_muted", "state"))
# Lists with the words for kinds of entities, and the domain of each.
KIND_LISTS = {"cover_classes": "cover"}
# Rules with the words for all entities, the home, and the speaker's room.
RULES = {"all": ("all", "todos", "tous", "alle", "tutti"), "home": ("home",), "here": ("here",)}
# Germanic languages in which a condition can begin with its verb, without another mark.
HAVE_INVERSION = frozenset(("af", "da", "de", "is", "lb", "nb", "nl", "sv"))
ASKING = ("HassGetState", "HassClimateGetTemperature", "HassGetWeather", "HassTimerStatus")
ON_OFF = ("HassTurnOn", "HassTurnOff")
WITH_VALUES = ("HassLightSet", "HassSetPosition", "HassClimateSetTemperature", "HassFanSetSpeed")
PLACES = ("area", "floor")
# Domains with the same words for opening and closing.
ALIKE = frozenset(("cover", "valve"))
LATER = "{duration}: {conversation_command}"
# Texts without words: confirmations, and names for all entities of an area, a floor or the home.
TEXTS = {
    "sure": "{command}?",
    "done": "OK.",
    "every": "{things}",
    "area": "{things} ({area})",
    "floor": "{things} ({floor})",
    "everywhere": "{things}",
}
# Slot that takes any words.
ITEM = "item"


def make_pack(code: str, form: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a language's pack, None if Home Assistant has no sentences in it.

    code: such as `nl` or `pt-BR`. form: the kinds and commands that need words. Reads files and
    takes seconds: do not call this in the event loop.
    """
    data = intents.get_intents(code)
    return _Maker(code, data, form).pack() if data else None


def kept_pack(code: str, form: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """Return `make_pack`, cached on disk per version of Home Assistant and of this integration.

    folder: of the cache. An unreadable file is built again, an unwritable folder only costs time.
    Raises ValueError if Home Assistant has no sentences in the language.
    """
    path = folder / f"words-{code}.json" if folder else None
    made_for = _made_for(form)
    if path:
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except OSError, ValueError:
            kept = {}
        if kept.get("made_for") == made_for:
            pack: dict[str, Any] = kept["pack"]
            return pack
    made = make_pack(code, form)
    if made is None:
        raise ValueError(f"Home Assistant has no sentences in {code}")
    if path:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_utf8_file_atomic(
                str(path), json.dumps({"made_for": made_for, "pack": made}, ensure_ascii=False)
            )
        except (OSError, WriteError) as err:
            LOGGER.warning("The words of %s are not kept: %s", code, err)
    return made


def _made_for(form: Mapping[str, Any]) -> str:
    """Return a hash of Home Assistant's version, its sentences, this code, and the form."""
    code = (Path(one).read_text("utf-8") for one in (__file__, templates.__file__))
    parts = (HA_VERSION, version("home-assistant-intents"), *code, json.dumps(form))
    return sha256("\n".join(parts).encode()).hexdigest()


@dataclass(slots=True)
class _Block:
    """Sentences of Home Assistant with the same meaning.

    slots, domains: what they refer to. step: the volume step that they all mean, empty if there is
    none. texts: without optional parts; whole: with them. mandatory, optional: the words of either.
    response: key of the answer.
    """

    intent: str
    slots: frozenset[str]
    domains: frozenset[str]
    texts: list[str]
    optional: set[str]
    response: str
    step: str
    mandatory: set[str] = field(default_factory=set)
    whole: list[str] = field(default_factory=list)


class _Maker:
    """Builds one pack."""

    def __init__(self, code: str, data: Mapping[str, Any], form: Mapping[str, Any]) -> None:
        self._code = code.partition("-")[0]
        self._data = data
        self._form = form
        self._rules = {
            name: parse_sentence(text).expression for name, text in data["expansion_rules"].items()
        }
        # Intents by optional word before a slot, such as an article, and the rules already searched
        # for such words.
        self._before: dict[str, set[str]] = defaultdict(set)
        self._seen: set[tuple[str, str]] = set()
        self._units: dict[str, set[str]] = {DEGREE: set(), "%": set()}
        self._polite = {words_of(text) for text in data.get("skip_words", ())} - {()}
        self._blocks = [
            block
            for name, intent in data["intents"].items()
            for raw in intent["data"]
            for block in self._read(name, raw)
        ]
        self._own = self._words_of_domains()
        # Articles and prepositions, and of these the ones that no command needs.
        of_kinds = set().union(*self._own.values())
        self._small = {word for word, n in self._before.items() if len(n) >= OFTEN} - of_kinds
        self._articles = self._small - {
            word for one in self._blocks if self._is_order(one) for word in one.mandatory
        }

    def pack(self) -> dict[str, Any]:
        """Return the whole pack."""
        commands = self._commands()
        verbs = {phrase for one in commands for phrase in one["hear"]}
        kinds = self._kinds()
        small = self._small | self._units["%"]
        polite = _texts(self._polite)
        lists = {
            "prepositions": sorted(self._small),
            "fillers": sorted(self._small),
            "small": [*sorted(small), *polite],
            "orders": polite,
            "thanks": polite,
            "also": self._and(),
            "degrees": sorted(self._units[DEGREE]),
            "percents": sorted(self._units["%"]),
            "questions": self._questions(verbs),
            "copulas": self._copulas(),
            **self._yes_and_no(),
            **{name: self._rule_words(rules) for name, rules in RULES.items()},
        }
        later = {**self._form["later"], "hear": [], "say": LATER, "done": LATER}
        return {
            **{name: [*words] for name, words in lists.items()},
            "kinds": kinds,
            "commands": commands,
            "later": later,
            "numbers": self._numbers(),
            "levels": self._values("brightness_level"),
            "colors": {
                text: value for text, value in self._values("color").items() if " " not in text
            },
            "endings": [],
            "has_inversion": self._code in HAVE_INVERSION,
            "is_verb_first": False,
            "texts": self._texts(),
        }

    def _read(self, intent: str, raw: Mapping[str, Any]) -> Iterator[_Block]:
        """Yield a block of sentences for each combination of slots."""
        local = {
            name: parse_sentence(text).expression
            for name, text in raw.get("expansion_rules", {}).items()
        }
        rules = {**self._rules, **local}
        context, given = raw.get("requires_context", {}), raw.get("slots", {})
        domains = frozenset(_names(context.get("domain"))) | frozenset(_names(given.get("domain")))
        found: dict[frozenset[str], _Block] = {}
        for template in raw["sentences"]:
            expression = parse_sentence(template).expression
            self._look_around_slots(expression, rules, intent)
            short = list(islice(expand(expression, rules), MAX_TEXTS))
            whole = list(islice(expand(expression, rules, is_whole=True), MAX_TEXTS))
            needed = set().union(*map(literal, short))
            optional = set().union(*map(literal, whole)) - needed
            for text in short:
                slots = frozenset(slots_in(text))
                block = found.setdefault(
                    slots,
                    _Block(
                        *(intent, slots, domains, [], set(), raw.get("response") or ""),
                        step=str(given.get("volume_step", "")),
                    ),
                )
                block.texts.append(text)
                block.optional |= optional
                block.mandatory |= {*literal(text)}
            for text in whole:
                if same := found.get(frozenset(slots_in(text))):
                    same.whole.append(text)
        yield from found.values()

    def _look_around_slots(
        self, expression: Expression, rules: Mapping[str, Expression], intent: str, depth: int = 0
    ) -> None:
        """Collect the optional words before a slot: `the`, `in the`.

        Also collect words that can replace the sign of a unit.
        """
        if isinstance(expression, RuleReference):
            key = (intent, expression.rule_name)
            if key not in self._seen and (rule := rules.get(expression.rule_name)):
                self._seen.add(key)
                self._look_around_slots(rule, rules, intent, 1)
            return
        items = getattr(expression, "items", None)
        if items is None or depth > MAX_DEPTH:
            return
        if isinstance(expression, Alternative):
            self._look_for_units(expression, rules)
        run: list[set[str]] = []
        for index, item in enumerate(items):
            if isinstance(item, Alternative) and item.is_optional:
                texts = islice(expand(item, rules, is_whole=True), MAX_CHOICES)
                found = [literal(text) for text in texts if not slots_in(text)]
                words = {word for one in found if len(one) <= 2 for word in one}  # noqa: PLR2004
                # A template begins with its verb or with its subject.
                is_verb = (
                    not index
                    and not depth
                    and len(items) > index + 2
                    and not isinstance(items[index + 2], ListReference)
                )
                run = [] if is_verb else [*run, words]
            elif isinstance(item, ListReference):
                for word in set().union(*run):
                    self._before[word].add(intent)
                run = []
            elif not (isinstance(item, TextChunk) and not item.original_text.strip()):
                run = []
            self._look_around_slots(item, rules, intent, depth + 1)

    def _look_for_units(self, alternative: Alternative, rules: Mapping[str, Expression]) -> None:
        """Collect the words that are alternatives to the sign of a unit."""
        texts = [*islice(expand(alternative, rules, is_whole=True), MAX_CHOICES)]
        for sign, words in self._units.items():
            if any(sign in text for text in texts):
                words |= {one[0] for text in texts if len(one := literal(text)) == 1}

    @staticmethod
    def _is_order(block: _Block) -> bool:
        return not block.intent.startswith(("HassGet", "HassClimateGet", "HassTimer"))

    def _words_of_domains(self) -> dict[str, set[str]]:
        """Return the words for kinds of entities, from sentences about all of them in a place."""
        named = {
            word
            for block in self._blocks
            if block.intent in ON_OFF and "name" in block.slots
            for word in block.mandatory
        }
        found: dict[str, set[str]] = defaultdict(set)
        of_all = {word for text in self._rule_words(RULES["all"]) for word in text.split()}
        for block in self._blocks:
            is_place = bool(block.slots) and block.slots <= {*PLACES}
            if block.intent in ON_OFF and len(block.domains) == 1 and is_place:
                (domain,) = block.domains
                own = block.mandatory - named - of_all
                found[domain] |= own | (_forms(own, block.optional) - of_all)
        # Words that are also used for other kinds do not name a kind.
        others = {
            domain: {
                word
                for block in self._blocks
                if block.domains and domain not in block.domains
                for word in block.mandatory | block.optional
            }
            for domain in found
        }
        return {
            domain: words - others[domain]
            for domain, words in found.items()
            if domain not in KIND_LISTS.values()
        }

    def _commands(self) -> list[dict[str, Any]]:
        """Return the commands of the form in the words of this language.

        Commands with a value also get the verbs of those without: `open it to 30 percent`.
        """
        found = [self._command(one) for one in self._form["commands"]]
        for one in found:
            if one["tool"] in WITH_VALUES:
                verbs = (
                    text
                    for other in found
                    if other["tool"] in ON_OFF and {*other["kinds"]} & {*one["kinds"]}
                    for text in other["hear"]
                )
                one["hear"] = [*dict.fromkeys((*one["hear"], *verbs))]
        return found

    def _command(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """Return a command in the words of this language; `say` is empty if there are none."""
        tool, kinds, target = form["tool"], form["kinds"], form.get("target", "name")
        if target == "none":
            return {**form, "hear": [], "say": ""}
        value = next(iter(form.get("slots", ())), None)
        blocks = self._blocks_for(tool, kinds, value)
        hear = self._hear(blocks, value, self._articles if tool in ON_OFF else self._small)
        say, done = self._say(blocks, value)
        if tool in ON_OFF:
            other = ON_OFF[tool == ON_OFF[0]]
            hear = self._without(hear, self._blocks_for(other, kinds, value))
        if step := form.get("args", {}).get("volume_step"):
            steps = self._values("volume_step") | self._values(f"volume_step_{step}_words")
            hear = [text for text, one in steps.items() if one == step]
            hear += self._hear([one for one in self._blocks if one.step == step], None, self._small)
            say, done = "", None
        if not say and hear:
            say = f"{{name}}: {hear[0]}" + (f" {{{value}}}" if value else "")
        if not say and tool not in ON_OFF:
            return {**form, "hear": hear, "say": ""}
        if target != "name":
            # Home Assistant's answers refer to a single entity.
            done = None
        told = {} if form.get("reads") else {"done": done or "{name}: OK."}
        return {**form, "hear": hear, "say": say or "{name}", **told}

    @staticmethod
    def _without(hear: Iterable[str], opposite: Iterable[_Block]) -> list[str]:
        """Return the phrases that distinguish a command from its opposite."""
        phrases = {literal(text) for one in opposite for text in one.texts}
        words = {word for phrase in phrases for word in phrase}
        return [
            text
            for text in hear
            if (own := tuple(text.split())) not in phrases
            and not (len(own) == 1 and own[0] in words)
            and not any({*own} <= {*one} for one in phrases if len(own) > 1)
        ]

    def _blocks_for(self, tool: str, kinds: Iterable[str], value: str | None) -> list[_Block]:
        """Return the sentences that name an entity of these kinds, with this value."""
        domains = {kind.partition(".")[0] for kind in kinds}
        domains |= ALIKE if domains & ALIKE else frozenset()
        wanted = {"name", value} - {None}
        return [
            block
            for block in self._blocks
            if block.intent == tool
            and (not block.domains or block.domains & domains)
            and wanted <= block.slots <= {*wanted, *PLACES}
        ] or [
            block
            for block in self._blocks
            if block.intent == tool
            and (not block.domains or block.domains & domains)
            and block.slots <= {*wanted, *PLACES, "volume_step"}
            and (value is None or value in block.slots)
            and tool not in ON_OFF
        ]

    def _hear(self, blocks: Iterable[_Block], value: str | None, without: set[str]) -> list[str]:
        """Return the phrases that hint at a command. without: words that are irrelevant to it."""
        blocks = list(blocks)
        needed = {word for one in blocks for word in one.mandatory} - without - self._small
        more = without.union(*self._own.values())
        short = (self._phrase(text, without) for one in blocks for text in one.texts)
        whole = (self._phrase(text, more) for one in blocks for text in one.whole)
        hear = dict.fromkeys(one for one in short if 0 < len(one) <= MAX_WORDS)
        hear |= dict.fromkeys(
            one for one in whole if len(one) < MAX_WORDS and not needed.isdisjoint(one)
        )
        if value and value != ITEM:
            # `Set the lamp to 20 percent`: none of its words is mandatory.
            optional = {word for one in blocks for word in one.optional - self._small}
            hear |= dict.fromkeys((word,) for word in sorted(optional))
            if any("%" in text for one in blocks for text in one.texts):
                hear |= {(PERCENT,): None}
        return _texts(islice(hear, MAX_PHRASES))

    @staticmethod
    def _phrase(text: str, without: set[str]) -> Phrase:
        return tuple(one for one in literal(text) if one not in without)

    def _say(self, blocks: Iterable[_Block], value: str | None) -> tuple[str, str | None]:
        """Return the text and the confirmation of a command; empty, None if there is no text."""
        for block in blocks:
            is_alone = "name" in block.slots and not block.slots & {*PLACES}
            for text in block.texts if is_alone else ():
                if value or literal(text):
                    return " ".join(text.split()), self._done(block)
        return "", None

    def _done(self, block: _Block) -> str | None:
        """Return Home Assistant's answer if it has only words and slots, else None."""
        answers = self._data.get("responses", {}).get("intents", {}).get(block.intent, {})
        answer = _ANSWER_NAME.sub(r"{\1}", answers.get(block.response or "default") or "").strip()
        if not answer or "{{" in answer or "{%" in answer or {*slots_in(answer)} - block.slots:
            return None
        return f"{answer}." if "{name}" in answer else f"{{name}}: {answer}."

    def _kinds(self) -> dict[str, Any]:
        """Return the words for kinds of entities."""
        words: dict[str, dict[str, None]] = defaultdict(dict)
        for listed, domain in KIND_LISTS.items():
            for text, value in self._values(listed).items():
                words[f"{domain}.{value}"][text] = None
                words[domain][text] = None
        for domain, own in self._own.items():
            words[domain] |= dict.fromkeys(sorted(own))
        found = {}
        for kind in self._form["kinds"]:
            domain, _, device_class = kind.partition(".")
            names = self._translated(domain)
            name: str = (
                names.get("entity_component", {}).get(device_class or "_", {}).get("name")
                or ("" if device_class else names.get("title"))
                or next(iter(words[kind]), "")
                or ("" if device_class else self._translated(domain, ENGLISH)["title"])
            )
            if name:
                texts = dict.fromkeys((*words[kind], name))
                found[kind] = {"all": name, "words": [*texts]}
        return found

    def _translated(self, domain: str, code: str | None = None) -> dict[str, Any]:
        """Return Home Assistant's translations of an integration, empty if there are none."""
        path = COMPONENTS / domain / "translations" / f"{code or self._code}.json"
        found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        return found

    def _yes_and_no(self) -> dict[str, list[str]]:
        domain, path = YES_NO
        found: Any = self._translated(domain)
        for name in path:
            found = found.get(name, {})
        texts = {name: _texts([words_of(found.get(name, ""))]) for name in ("true", "false")}
        return {"yes": texts["true"], "not_now": texts["false"], "no": texts["false"]}

    def _and(self) -> list[str]:
        """Return the word for `and` from Home Assistant's answers."""
        answers = json.dumps(self._data.get("responses", {}), ensure_ascii=False)
        return _texts({words_of(" ".join(found)) for found in _JOIN.findall(answers)})

    def _questions(self, verbs: Iterable[str]) -> list[str]:
        """Return the first words of sentences that only ask."""
        of_orders = {words_of(text)[0] for text in verbs}
        firsts = {
            words[0]
            for block in self._blocks
            if block.intent in ASKING
            for text in block.texts
            if (words := literal(text.partition("{")[0]))
        }
        return sorted(firsts - of_orders - self._small)

    def _copulas(self) -> list[str]:
        """Return the words beside a name in questions for a state: `is`, `are`."""
        found: Counter[str] = Counter()
        for block in self._blocks:
            if block.intent == "HassGetState" and "name" in block.slots:
                for text in block.texts:
                    before, _, behind = text.partition("{name}")
                    first = [one for one in literal(before) if one not in self._small]
                    last = literal(behind.partition("{")[0])
                    found.update(first if len(first) == 1 else last[:1])
        least = max(found.values(), default=0) * OFTEN_BESIDE
        return [word for word, n in found.items() if n >= least and word not in self._small]

    def _rule_words(self, names: Iterable[str]) -> list[str]:
        found = [
            words
            for name in names
            if name in self._rules
            for text in islice(expand(self._rules[name], self._rules, is_whole=True), MAX_TEXTS)
            if (words := literal(text)) and len(words) <= MAX_WORDS
        ]
        return _texts(dict.fromkeys(found))

    def _values(self, name: str) -> dict[str, Any]:
        """Return the values of a list by the words for them."""
        found: dict[str, Any] = {}
        for one in self._data["lists"].get(name, {}).get("values", ()):
            template, value = (one, one) if isinstance(one, str) else (one["in"], one["out"])
            expression = parse_sentence(template).expression
            for text in islice(expand(expression, self._rules, is_whole=True), MAX_CHOICES):
                if words := literal(text):
                    found.setdefault(" ".join(words), value)
        return found

    def _numbers(self) -> dict[str, int]:
        try:
            engine = get_rbnf_engine(self._code)
        except ValueError:
            return {}
        found: dict[str, int] = {}
        for number in (*range(MAX_NUMBER + 1), *KELVINS):
            try:
                texts = {*engine.format_number(number).text_by_ruleset.values()}
            except ValueError:
                # The language has no rules for numbers.
                break
            for text in sorted(texts):
                words = words_of(text)
                if words and not any(word[0].isdigit() for word in words):
                    found.setdefault(" ".join(words), number)
        return found

    def _texts(self) -> dict[str, Any]:
        """Return our texts: Home Assistant's error messages, and texts without words."""
        errors = self._data.get("responses", {}).get("errors", {})
        texts: dict[str, Any] = {}
        sorry = _sentence(errors.get("no_intent"))
        if sorry:
            texts |= dict.fromkeys(("what", "not_done", "not_later", "no_timers"), sorry)
        if several := _sentence(errors.get("duplicate_entities"), entity="names"):
            texts["which"] = several
        if failed := _sentence(errors.get("handle_error")):
            texts["failed"] = f"{failed} ({{command}})"
        return texts | TEXTS


def _names(value: object) -> list[str]:
    """Return one or several domains of Home Assistant's data as a list."""
    if isinstance(value, dict):
        value = value.get("value")
    return [value] if isinstance(value, str) else list(value) if isinstance(value, list) else []


def _forms(words: Iterable[str], others: Iterable[str]) -> set[str]:
    """Return those of the other words that are longer forms of some words."""
    return {one for one in others if any(one.startswith(word) for word in words)}


def _texts(phrases: Iterable[Phrase]) -> list[str]:
    return [" ".join(phrase) for phrase in phrases if phrase]


def _sentence(template: object, **names: str) -> str:
    """Return a sentence of Home Assistant with renamed slots, empty if it has other code."""
    text = str(template or "").strip()
    for name, own in names.items():
        text = re.sub(rf"\{{\{{\s*{name}\s*\}}\}}", f"{{{own}}}", text)
    if not text or "{{" in text or "{%" in text:
        return ""
    return text if text[-1] in ".?!" else f"{text}."
