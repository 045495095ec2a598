"""Say what the agent can do, from the home and without a model."""

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.const import STATE_UNAVAILABLE

from ..home.exposed import async_exposed
from ..home.language import async_load, help_phrases
from ..home.words import words_of
from ..nlu.candidates import CRITICAL
from .recognizer import async_recognized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import llm

    from ..home.language import Language, Sentence
    from ..home.things import ExposedEntity
    from .recognizer import Order

# Most words of a request for help.
MAX_WORDS = 8
# Most sentences to try, and most that are checked for a domain: some languages' are not understood.
MAX_EXAMPLES = 3
MAX_CHECKED = 6
# What sentences to try are about, the best first.
DOMAINS = ("light", "cover", "media_player", "fan", "vacuum", "switch", "scene")


async def async_answer_help(
    hass: HomeAssistant,
    user_input: conversation.ConversationInput,
    chat_log: conversation.ChatLog,
    llm_context: llm.LLMContext,
) -> conversation.ConversationResult | None:
    """Return how much can be controlled and what to try, None if the user does not ask that."""
    said = words_of(user_input.text)
    if len(said) > MAX_WORDS or said not in await hass.async_add_executor_job(
        help_phrases, user_input.language
    ):
        return None
    speech = await _async_speech(hass, await async_load(hass, user_input.language), llm_context)
    chat_log.async_add_assistant_content_without_tools(
        conversation.AssistantContent(agent_id=user_input.agent_id, content=speech)
    )
    return conversation.async_get_result_from_chat_log(user_input, chat_log)


async def _async_speech(
    hass: HomeAssistant, language: Language, llm_context: llm.LLMContext
) -> str:
    exposed = async_exposed(hass, llm_context.assistant or "")
    await exposed.async_read()
    things = [one for one in exposed.home(frozenset()).things if _is_controllable(one, language)]
    texts = language.texts
    if not things:
        return str(texts["controls_nothing"])
    speech = str(texts["controls"]).format(count=len(things))
    if examples := await async_examples(hass, llm_context):
        speech += " " + str(texts["try"]).format(commands="; ".join(examples))
    return speech


def _is_controllable(thing: ExposedEntity, language: Language) -> bool:
    return thing.domain == "script" or any(not one.reads for one in language.fitting(thing))


async def async_examples(
    hass: HomeAssistant, llm_context: llm.LLMContext, n_most: int = MAX_EXAMPLES
) -> list[str]:
    """Return commands that Home Assistant understands as meant, each for another kind of thing.

    llm_context: of whoever may say them, with the language. n_most: of the commands.
    """
    language = await async_load(hass, llm_context.language)
    exposed = async_exposed(hass, llm_context.assistant or "")
    await exposed.async_read()
    things = exposed.home(frozenset()).things
    names = Counter(name for one in things for name in {*map(words_of, one.names)})
    examples: list[str] = []
    for domain in DOMAINS:
        harmless = (
            one
            for one in things
            if one.domain == domain
            and CRITICAL.isdisjoint(one.kinds)
            and names[words_of(one.name)] == 1
            and not hass.states.is_state(one.entity_id, STATE_UNAVAILABLE)
        )
        for thing, sentence in islice(_commands(harmless, language), MAX_CHECKED):
            text = sentence.say.format(name=thing.name)
            order = await async_recognized(hass, text, llm_context)
            if order and _is_for(order, sentence, thing):
                examples.append(text)
                break
        if len(examples) == n_most:
            break
    return examples


def _is_for(order: Order, sentence: Sentence, thing: ExposedEntity) -> bool:
    is_named = words_of(str(order.args.get("name", ""))) == words_of(thing.name)
    return is_named and order.tool == sentence.tool


def _commands(
    things: Iterable[ExposedEntity], language: Language
) -> Iterator[tuple[ExposedEntity, Sentence]]:
    """Yield commands for things that need nothing but a name to fill in."""
    for thing in things:
        for sentence in language.fitting(thing):
            if not (sentence.reads or sentence.slots or sentence.args):
                yield thing, sentence
