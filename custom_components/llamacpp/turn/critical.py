"""Guard calls that move locks, doors and the like: only an explicit order may."""

from typing import TYPE_CHECKING, Any, NamedTuple

from ..home.exposed import area_of_device, exposed_home
from ..home.language import async_load
from ..home.spoken import bare, command_text
from ..nlu.candidates import CRITICAL, Candidates
from ..nlu.interpret import Interpreter
from ..nlu.relative import Now
from ..nlu.utterance import understand
from ..tool_calls.invalid_call import InvalidCallError
from ..tool_calls.targets import ALL, DEVICE_CLASS, DOMAIN, NAME, OWN, TIMER
from ..tool_calls.tools import arguments_by_tool
from .recognizer import Order, async_recognized

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import llm

    from ..client import ToolParam
    from ..home.language import Language
    from ..home.things import ExposedEntity, Home, Place

AREA, FLOOR = "area", "floor"
TARGET = (NAME, AREA, FLOOR, DOMAIN, DEVICE_CLASS)
# A timer's argument with the command that Home Assistant's own agent runs at its end.
LATER = "conversation_command"
# Prefixes of Home Assistant's intents that change nothing, or harmless kinds only.
HARMLESS = (
    *("HassGet", "HassClimate", "HassLight", "HassFan", "HassHumidifier", "HassMedia"),
    *("HassSetVolume", "HassVacuum", "HassLawnMower", "HassList", "HassShoppingList"),
)


class Call(NamedTuple):
    """A tool call, by the tool's full name."""

    tool: str
    args: Mapping[str, Any]


class CriticalCalls:
    """Decides which calls of a turn need an explicit order, and asks for confirmation."""

    def __init__(
        self,
        hass: HomeAssistant,
        tools: Sequence[ToolParam],
        reading: Collection[str],
        llm_context: llm.LLMContext,
    ) -> None:
        """Initialize for a turn.

        tools: in OpenAI's format. reading: names of read-only tools. llm_context: the speaker,
        their device, assistant and language.
        """
        self._hass = hass
        self._tools = tools
        self._reading = reading
        self._llm_context = llm_context

    async def async_is_allowed(self, said: str, call: Call) -> bool:
        """Return whether a call may run: it moves nothing critical, or the user ordered it.

        said: the user's message. Raises InvalidCallError for a delayed command that Home Assistant
        would not understand when it is due.
        """
        if call.tool in self._reading:
            return True
        if later := call.args.get(LATER):
            order = await async_recognized(self._hass, str(later), self._llm_context)
            if order is None:
                raise InvalidCallError(
                    f"Home Assistant does not understand '{later}'. "
                    "Use a short command with a whole name, such as 'turn off the Floor Lamp'."
                )
            return not self._moved(order)
        order = Order(bare(call.tool), call.args)
        if not self._moved(order):
            return True
        return any(self._is_same(order, one) for one in await self._async_orders(said))

    async def async_is_exact(self, order: Order) -> bool:
        """Return whether Home Assistant would move only the critical entities that were ordered.

        It matches entities by name, whatever the kind in the utterance, and lets timers run
        commands that it does not understand.
        """
        if later := order.args.get(LATER):
            at_end = await async_recognized(self._hass, str(later), self._llm_context)
            return at_end is not None and not self._moved(at_end)
        if order.is_domain_known:
            return DOMAIN in order.args or not self._moved(order)
        named = {name: value for name, value in order.args.items() if name != DOMAIN}
        return set(self._moved(Order(order.tool, named))) <= set(self._moved(order))

    async def async_question(self, calls: Sequence[Call]) -> str:
        """Return the question whether to run calls; empty if we could not understand a yes."""
        if (language := await self._async_language()) is None:
            return ""
        texts = [command_text(one.tool, self._with_kind(one), language) for one in calls]
        return str(language.texts["sure"]).format(command=", ".join(dict.fromkeys(texts)))

    async def async_agrees(self, said: str) -> bool:
        """Return whether the user's message is a yes and nothing else."""
        language = await self._async_language()
        return language is not None and understand(said, language).is_yes

    def names(self, calls: Sequence[Call]) -> list[str]:
        """Return the names of the critical entities that the calls would move."""
        things = (one for call in calls for one in self._moved_by(call))
        return list(dict.fromkeys(one.name for one in things))

    @property
    def _home(self) -> Home:
        # Calls can target any exposed entity.
        return exposed_home(self._hass, self._llm_context.assistant or "", without=())

    async def _async_language(self) -> Language | None:
        """Return the speaker's language, None if we have no language pack for it."""
        code = self._llm_context.language or self._hass.config.language
        language = await async_load(self._hass, code)
        return language if language.code in (code, code.partition("-")[0]) else None

    async def _async_orders(self, said: str) -> list[Order]:
        """Return the explicit orders in the user's message."""
        found = await async_recognized(self._hass, said, self._llm_context)
        orders = [found] if found else []
        if (language := await self._async_language()) is None:
            return orders
        home = exposed_home(self._hass, self._llm_context.assistant or "")
        here = area_of_device(self._hass, self._llm_context.device_id)
        candidates = Candidates(
            home, language, arguments_by_tool(self._tools), here, now=Now(self._hass)
        )
        interpreter = Interpreter(candidates, language, self._tools, self._reading)
        meaning = await self._hass.async_add_executor_job(interpreter.meaning, said)
        if meaning.is_plain:
            plain = (one for part in meaning.parts for one in part if one.is_plain)
            orders += [Order(bare(one.tool), one.args) for one in plain]
        return orders

    def _is_same(self, order: Order, ordered: Order) -> bool:
        """Return whether an order has the values of another and moves no other critical entity."""
        values = {name: value for name, value in order.args.items() if name not in TARGET}
        return (
            order.tool == ordered.tool
            and DOMAIN in ordered.args
            and set(self._moved(order)) <= set(self._moved(ordered))
            and all(name in ordered.args and ordered.args[name] == values[name] for name in values)
        )

    def _moved_by(self, call: Call) -> list[ExposedEntity]:
        return self._moved(Order(bare(call.tool), call.args))

    def _moved(self, order: Order) -> list[ExposedEntity]:
        """Return the critical entities that an order moves."""
        args = order.args
        is_harmless = order.tool.startswith(HARMLESS) or TIMER in order.tool
        if not order.tool.startswith(OWN) or is_harmless or not args.keys() & {*TARGET}:
            return []
        name = str(args.get(NAME, ALL)).casefold()
        return [
            thing
            for thing in self._home.things
            if CRITICAL.intersection(thing.kinds)
            and (name == ALL or name in map(str.casefold, (thing.entity_id, *thing.names)))
            and self._is_there(thing, args)
            and _is_among(thing.domain, args.get(DOMAIN))
            and _is_among(thing.device_class, args.get(DEVICE_CLASS))
        ]

    def _is_there(self, thing: ExposedEntity, args: Mapping[str, Any]) -> bool:
        home = self._home
        area = home.areas.get(thing.area) if thing.area else None
        floor_id = area.floor if area else None
        floor = home.floors.get(floor_id) if floor_id else None
        return _is_place(args.get(AREA), thing.area, area) and _is_place(
            args.get(FLOOR), floor_id, floor
        )

    def _with_kind(self, call: Call) -> Mapping[str, Any]:
        """Return the arguments with the domain: we unlock a lock, and do not turn it off."""
        domains = {one.domain for one in self._moved_by(call)}
        return {DOMAIN: [*domains], **call.args} if len(domains) == 1 else call.args


def _is_place(wanted: object, place_id: str | None, place: Place | None) -> bool:
    """Return whether a place is the wanted one; None: any is."""
    if wanted is None:
        return True
    names = (place_id or "", *(place.names if place else ()))
    return str(wanted).casefold() in map(str.casefold, names)


def _is_among(value: str | None, wanted: object) -> bool:
    """Return whether a value is among the wanted ones; None: any is."""
    return wanted is None or value in (wanted if isinstance(wanted, (list, tuple)) else (wanted,))
