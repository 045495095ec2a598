"""The strategy for a model that chooses from commands."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import AssistantContent, ToolResultContent, UserContent
from homeassistant.components.intent import async_device_supports_timers
from homeassistant.helpers.intent import IntentResponseType

from ...home.exposed import area_of_device, exposed_home
from ...home.language import has_own_words
from ...home.spoken import bare, command_text, sentence_of
from ...home.words import as_written
from ...nlu.candidates import Candidates
from ...nlu.coreference import Coreference
from ...nlu.corrections import after_all
from ...nlu.gbnf import grammar_for
from ...nlu.interpret import Interpreter
from ...nlu.relative import Now
from ...nlu.utterance import is_only, understand
from ...nlu.verbs import is_order
from ...prompt.home_prompt import examples
from ...prompt.options import Thinking
from ...prompt.question import Asks, Question, question_before
from ...prompt.request import to_request
from ...tool_calls.targets import OWN, TIMER
from ...tool_calls.tools import arguments_by_tool, to_tools
from ..deltas import ChatLogStream
from ..strategy import StrategyRequest
from .answer import CommandDeltas, to_call
from .command_messages import has_failed, to_command_messages
from .later import async_sentences
from .reading import read_out
from .state_context import async_read_states, live_note, match_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from homeassistant.components.conversation import Content
    from homeassistant.helpers import llm

    from ...home.language import Language
    from ...home.things import ExposedEntity
    from ...nlu.candidates import Command
    from ...prompt.request import TurnSettings
    from ..deltas import ChatLogDelta

# Number of top_logprobs per token.
N_OTHERS = 20
# Maximum number of names in the question which one the user means.
MAX_NAMES = 8


class CommandsStrategy:
    """Lets the model choose from the commands that an utterance can mean."""

    # The requests have no tools.
    tools: Sequence[object] = ()
    # Every choice is valid.
    should_stop = False

    def __init__(
        self,
        api: llm.APIInstance,
        languages: tuple[Language, Language],
        llm_context: llm.LLMContext,
    ) -> None:
        """Initialize for a turn.

        api: of the chat log. languages: of the home, and of the user. llm_context: the speaker and
        their device.
        """
        self._hass = api.api.hass
        self._llm_context = llm_context
        home = self._home = exposed_home(self._hass, llm_context.assistant)
        here = area_of_device(self._hass, llm_context.device_id)
        of_home, self._language = languages
        functions = to_tools(api)
        device = llm_context.device_id
        if device is None or not async_device_supports_timers(self._hass, device):
            # The API has them for other devices, so that all share one prompt.
            functions = [one for one in functions if not _is_timer(one["function"]["name"])]
        self._functions = functions
        self._reading = {one.name for one in api.tools if one.annotations.read_only}
        declared = arguments_by_tool(self._functions)
        self._candidates = Candidates(home, self._language, declared, here, now=Now(self._hass))
        self._interpreter = Interpreter(
            self._candidates, self._language, self._functions, self._reading
        )
        self._before = Coreference(home, self._language)
        self._examples = [
            {"role": role, "content": text}
            for pair in examples(home, of_home)
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
        self._asked: Question | None = None
        self._answer: CommandDeltas | None = None

    @property
    def question(self) -> Question | None:
        """Return what the newest answer asks the user, None if it asks nothing."""
        return self._answer.question if self._answer else self._asked

    async def async_check(self, contents: Sequence[Content]) -> None:
        """Parse the user's message, in an executor.

        Also find sentences for delayed commands that Home Assistant's own agent understands.
        """
        text, meant = await self._hass.async_add_executor_job(self._understand, contents)
        await async_read_states(self._hass, self._language, meant)
        if parts := self._interpreter.to_be_delayed(text):
            at_once = understand(text, self._language).at_once
            own = as_written(at_once.words, at_once.written) if at_once else text
            commands = [one for part in parts for one in part if not one.rest]
            self._interpreter.allow_later(
                await async_sentences(self._hass, commands, own, self._llm_context)
            )

    def _understand(self, contents: Sequence[Content]) -> tuple[str, Sequence[ExposedEntity]]:
        """Return the resolved text of the user, and the entities for the context.

        Fills the caches for the rest of the turn: all depends only on the text, the home and the
        language.
        """
        text = self._whole(contents)
        self._interpreter.to_be_delayed(text)
        if not self._interpreter.meaning(text).parts:
            self._before.is_bare(text)
            self._before.begins_with_order(text)
        last = contents[-1]
        if not isinstance(last, UserContent):
            return text, ()
        said = understand(last.content, self._language)
        return text, match_name(self._home, self._language, said)

    def context_for(self, words: str) -> str:
        """Return the states that a question is about."""
        return live_note(self._hass, self._home, self._language, understand(words, self._language))

    def without_model(self, contents: Sequence[Content]) -> list[ChatLogDelta]:
        """Return our confirmation, our question, or the calls that the user agrees to."""
        last = contents[-1]
        if isinstance(last, ToolResultContent):
            words = self._words_on_results(contents)
            return [{"role": "assistant"}, {"content": words}] if words else []
        if not isinstance(last, UserContent):
            return []
        if agreed := self._agreed(contents):
            return [{"role": "assistant"}, {"tool_calls": [to_call(*one) for one in agreed]}]
        if self._is_refused(contents):
            return [{"role": "assistant"}, {"content": str(self._language.texts["left"])}]
        words, asks = self._asked_back(self._whole(contents))
        self._asked = Question(asks) if asks else None
        return [{"role": "assistant"}, {"content": words}] if words else []

    def direct(self, contents: Sequence[Content]) -> list[ChatLogDelta]:
        """Return the calls of what the user's message alone orders, without the model.

        None where a word is not explained, where it may mean more than one command or refers to an
        earlier turn, and for what is critical, delayed, only read, or takes any words as the item
        of a list.
        """
        text = self._whole(contents[-1:])
        if (
            text != self._whole(contents)
            or self._asked_back(text)[0]
            or self._interpreter.to_be_delayed(text)
        ):
            return []
        orders: list[Command] = []
        for part in self._interpreter.meaning(text).parts:
            plain = [one for one in part if one.is_plain]
            if len(plain) != 1 or plain[0].is_critical or plain[0].reads or plain[0].is_item:
                return []
            orders += plain
        calls = [to_call(one.tool, one.args) for one in orders]
        return [{"role": "assistant"}, {"tool_calls": calls}] if calls else []

    def _asked_back(self, text: str) -> tuple[str, Asks | None]:
        """Return our reply where the model would only guess or promise, and what it asks.

        The reply is empty if the model may answer.
        """
        texts = self._language.texts
        said = understand(text, self._language)
        commands, held_back = self._interpreter.meaning(text)
        if (needs_timers := self._needs_timers(text)) or held_back:
            words = str(texts["no_timers" if needs_timers else "not_done"])
            return words.format(command=held_back), None
        if names := self._candidates.unclear(commands):
            listed = ", ".join(names[:MAX_NAMES])
            return str(texts["which"]).format(names=listed), Asks.WHICH
        if commands:
            return "", None
        if self._interpreter.to_be_delayed(text):
            return str(texts["not_later"]), None
        is_open = (
            self._before.is_bare(text)
            or self._before.begins_with_order(text)
            or (said.but and is_order(said.words, self._language))
        )
        if not is_open or said.is_question or said.is_chat:
            return "", None
        return str(texts["what"]), Asks.WHAT

    def request(self, contents: Sequence[Content], settings: TurnSettings) -> StrategyRequest:
        """Return the request with a grammar of the commands, or without if there are none."""
        said = to_command_messages(contents, self._language, settings.images)
        system, *others = settings.for_template(said)
        # The examples alternate roles on their own; keep them separate from the conversation.
        messages = [system, *settings.markers.broken_in(self._examples), *others]
        # A model cannot think under a grammar, and all requests must share the prompt's prefix.
        body = to_request(messages, [], settings, Thinking.OFF)
        is_said = isinstance(contents[-1], UserContent)
        commands = self._interpreter.meaning(self._whole(contents)).parts if is_said else []
        # As the names stand in the model's prompt.
        parts = [
            [replace(one, text=settings.markers.broken(one.text)) for one in part]
            for part in commands
        ]
        if not parts:
            return StrategyRequest(body, self._talk)
        # We ask back unless it is plain: the model must name the command.
        is_heard = all(
            any(one.is_heard and (one.is_named or one.is_critical) for one in part)
            for part in parts
        )
        texts = [[one.text for one in part] for part in parts]
        body["grammar"] = grammar_for(texts, may_talk=not is_heard)
        # A command is right or wrong: variety gains nothing.
        body["temperature"] = 0
        if any(one.is_critical for part in parts for one in part):
            body |= {"logprobs": True, "top_logprobs": N_OTHERS}
        return StrategyRequest(body, partial(self._choice, parts))

    def _talk(self) -> ChatLogStream:
        self._answer = None
        return ChatLogStream(None)

    def _choice(self, parts: Sequence[Sequence[Command]]) -> CommandDeltas:
        texts = self._language.texts
        self._answer = CommandDeltas(parts, texts["sure"], texts["failed"])
        return self._answer

    def _needs_timers(self, text: str) -> bool:
        """Return whether an order needs timers and there are none: the model would promise it."""
        said = understand(text, self._language)
        is_clear = any(
            one.is_heard for part in self._interpreter.meaning(text).parts for one in part
        )
        is_order = not (is_clear or said.is_question or said.is_chat)
        return is_order and self._candidates.needs_timers(said)

    def _whole(self, contents: Sequence[Content]) -> str:
        """Return the user's text, with the target or order from earlier turns added.

        After our question what the user means, or if the text is only an order: `make it blue`.
        """
        *before, last = [one.content for one in contents if isinstance(one, UserContent)]
        last = after_all(last, self._language, self._interpreter, self._before)
        if not (before and any(isinstance(one, AssistantContent) for one in contents)):
            return last
        last = self._before.without_no(last)
        names = self._candidates.unclear(self._interpreter.meaning(before[-1]).parts)
        question = question_before(contents)
        if question and (question.asks is Asks.WHAT or (names and question.asks is Asks.WHICH)):
            if self._before.is_for_all(last):
                return self._for_all(names, before[-1])
            return f"{before[-1]} {last}"
        meant = [part[0] for part in self._interpreter.meaning(before[-1]).parts if part]
        if same := self._before.same_for(last, meant):
            return same
        return self._before.with_name(self._before.with_place(last, before), before)

    def _for_all(self, names: Sequence[str], text: str) -> str:
        """Return an order for each of the entities that the user could choose from."""
        commands = [
            one
            for part in self._interpreter.meaning(text).parts
            for one in part
            if one.is_heard and one.thing in names
        ]
        by_name = {one.thing: one.text for one in reversed(commands)}
        return ", ".join(by_name[name] for name in names if name in by_name)

    def _agreed(self, contents: Sequence[Content]) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Return the calls that the user was asked about, and says yes to."""
        last = contents[-1]
        if not (isinstance(last, UserContent) and understand(last.content, self._language).is_yes):
            return ()
        question = question_before(contents)
        return question.calls if question and question.asks is Asks.WHETHER else ()

    def _is_refused(self, contents: Sequence[Content]) -> bool:
        """Return whether the user only says no to our question; in the languages of our words."""
        *before, last = contents
        if not has_own_words(self._language.code) or not isinstance(last, UserContent):
            return False
        words = understand(last.content, self._language).words
        return is_only(words, self._language, "no") and question_before(before) is not None

    def _words_on_results(self, contents: Sequence[Content]) -> str:
        """Return our confirmation of the commands that ran, empty to let the model speak."""
        calls = next(one for one in reversed(contents) if isinstance(one, AssistantContent))
        results = [one for one in contents if isinstance(one, ToolResultContent)]
        by_id = {one.tool_call_id: one.result for one in results}
        words: dict[str, None] = {}
        failures: dict[str, None] = {}
        for call in calls.tool_calls or ():
            sentence = sentence_of(call.tool_name, call.tool_args, self._language)
            result = by_id.get(call.id)
            is_failed = result is None or has_failed(result)
            if not is_failed and (sentence is None or not sentence.done):
                if items := read_out(call, result):
                    words[items] = None
                    continue
                if sentence or call.tool_name in self._reading or _tells(result):
                    return ""
                words[self._language.texts["done"]] = None
                continue
            # Users do not want to hear arguments of a tool without a sentence.
            text = bare(call.tool_name)
            if sentence:
                args = call.tool_args
                text = command_text(call.tool_name, args, self._language, done=not is_failed)
            (failures if is_failed else words)[text] = None
        if failures:
            failed = ", ".join([*failures][:MAX_NAMES])
            words[self._language.texts["failed"].format(command=failed)] = None
        return " ".join(words)


def _is_timer(tool: str) -> bool:
    return bare(tool).startswith(OWN) and TIMER in tool


def _tells(result: llm.ToolResult | None) -> bool:
    """Return whether a result has content beyond success."""
    if result is None:
        return False
    if result.data.get("response_type") == IntentResponseType.ACTION_DONE.value:
        # The command has named the targets.
        return bool(result.data.get("speech"))
    return any(value and value is not True for value in result.data.values())
