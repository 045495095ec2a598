"""How often prompts are rendered, for which speakers, and without events for others."""

from typing import TYPE_CHECKING, Any, override

import pytest
from homeassistant.components import conversation
from homeassistant.components.conversation.chat_log import async_subscribe_chat_logs
from homeassistant.const import CONF_LLM_HASS_API, CONF_PROMPT
from homeassistant.core import Context
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm

from custom_components.llamacpp.const import CONF_KEEP_WARM, DOMAIN
from custom_components.llamacpp.prompt.assist import RememberedAssist
from custom_components.llamacpp.prompt.builder import PromptSpec, SharedPrefixBuilder
from custom_components.llamacpp.prompt.shared_prefix import system_prompt_of
from tests.integration.conftest import agent_of
from tests.integration.prefill import until_prefilled
from tests.integration.speakers import ask_as, satellites, until_change_prefilled, with_timers
from tests.integration.talk import PROPS, llama_peer, piece

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

ANSWER = [piece(content="Yes."), piece("stop")]
LIGHT = "light.kitchen_light"
WITH_STATE = "Be brief.\nIt is {{ states('sensor.outside') }} degrees outside."


class CountingApi(llm.API):
    """An API without tools that counts its renderings and names the speaker's place."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start; it must still be registered."""
        super().__init__(hass=hass, id="counting", name="Counting")
        self.n_rendered = 0

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        self.n_rendered += 1
        prompt = f"You have a home.\nYou are at {llm_context.device_id}."
        return llm.APIInstance(api=self, api_prompt=prompt, llm_context=llm_context, tools=[])


@pytest.fixture
def api(hass: HomeAssistant) -> CountingApi:
    """Return a counting API."""
    api = CountingApi(hass)
    llm.async_register_api(hass, api)
    return api


async def set_options(hass: HomeAssistant, entry: ConfigEntry[Any], **options: Any) -> None:
    """Change options of the agent, and wait until its prompt is prefilled."""
    agent = agent_of(entry)
    hass.config_entries.async_update_subentry(entry, agent, data={**agent.data, **options})
    await until_change_prefilled(hass)


async def test_one_rendering_a_turn_whatever_the_template_says(
    home: HomeAssistant, add_server: AddServer, peers: Peers, api: CountingApi
) -> None:
    """A changed state goes into the note; the system prompt is the same for all."""
    for name in ("Ann", "Bob"):
        await home.auth.async_create_user(name)
    url, requests = await llama_peer(peers, *[ANSWER] * 20)
    entry = await add_server(url)
    home.states.async_set("sensor.outside", "0")
    options = {CONF_LLM_HASS_API: [api.id], CONF_PROMPT: WITH_STATE}
    await set_options(home, entry, **options)
    assert api.n_rendered > 2
    requests.clear()
    for degrees in (1, 2):
        home.states.async_set("sensor.outside", str(degrees))
        for device in (None, *satellites(home)):
            await until_prefilled(home)
            before = api.n_rendered
            await ask_as(home, device=device)
            assert api.n_rendered == before + 1
            said = requests[-1]["messages"][-1]["content"]
            assert f"You are at {device}." in said
            assert f"It is {degrees} degrees outside." in said
        await until_prefilled(home)
    systems = {one["messages"][0]["content"] for one in requests}
    assert systems == {"Be brief.\nYou have a home."}


@pytest.mark.parametrize("is_sleeping", [False, True])
async def test_an_agent_that_is_not_kept_warm(
    home: HomeAssistant, add_server: AddServer, peers: Peers, api: CountingApi, *, is_sleeping: bool
) -> None:
    """The shared prompt is rendered ahead, or by the first question; no prefill is sent."""
    props = {**PROPS, "is_sleeping": is_sleeping}
    url, requests = await llama_peer(peers, *[ANSWER] * 3, props=props)
    entry = await add_server(url)
    await set_options(home, entry, **{CONF_LLM_HASS_API: [api.id], CONF_KEEP_WARM: False})
    assert not requests
    assert bool(api.n_rendered) is not is_sleeping
    first, second, *_ = satellites(home)
    before = api.n_rendered
    counts: list[int] = []
    end = async_subscribe_chat_logs(
        home, lambda _id, kind, _data: counts.append(api.n_rendered) if kind == "updated" else None
    )
    await ask_as(home, device=first)
    end()
    assert max(counts) <= before + (4 if is_sleeping else 1)
    for device in (first, second):
        await until_prefilled(home)
        before = api.n_rendered
        await ask_as(home, device=device)
        assert api.n_rendered == before + 1
    assert requests[1]["messages"][0] == requests[2]["messages"][0]


async def test_other_system_prompts_evict_nothing(
    home: HomeAssistant, add_server: AddServer, peers: Peers, api: CountingApi
) -> None:
    """After chats with other instructions the agent's prompt starts as before."""
    url, requests = await llama_peer(peers, *[ANSWER] * 5)
    entry = await add_server(url)
    await set_options(home, entry, **{CONF_LLM_HASS_API: [api.id]})
    device = satellites(home)[0]
    await ask_as(home, device=device)
    for number in range(3):
        data = {"message": "Hello", "system_prompt": f"You are number {number}."}
        await home.services.async_call(DOMAIN, "chat", data, blocking=True, return_response=True)
    await until_prefilled(home)
    before = api.n_rendered
    await ask_as(home, device=device)
    assert api.n_rendered == before + 1
    assert requests[-1]["messages"][0] == requests[0]["messages"][0]


async def test_nobody_hears_of_prompts_that_are_made_ahead(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """A change of the home creates no conversations for listeners to all of them."""
    url, _requests = await llama_peer(peers, ANSWER)
    await add_server(url)
    heard: set[str] = set()
    end = async_subscribe_chat_logs(home, lambda conversation_id, *_: heard.add(conversation_id))
    er.async_get(home).async_update_entity(LIGHT, name="Stove Lamp")
    await until_change_prefilled(home)
    assert not heard
    await ask_as(home)
    assert len(heard) == 1
    end()


def context_of(device: str | None, user: str | None = None) -> llm.LLMContext:
    """Return the context of a speaker."""
    return llm.LLMContext(DOMAIN, Context(user_id=user), "en", conversation.DOMAIN, device)


async def test_what_is_made_ahead_is_what_a_turn_is_given(home: HomeAssistant) -> None:
    """For every speaker, the prompt rendered ahead equals that of Home Assistant's chat log."""
    ann = await home.auth.async_create_user("Ann")
    with_timers(home, satellites(home)[0])
    prompt = "You speak to {{ user_name }} in {{ ha_name }}.\n{{ llm_context.language }}"
    for wanted in (
        PromptSpec(("assist",), prompt, is_own=True),
        PromptSpec(("assist",), None, is_own=True),
        PromptSpec(None, None, is_own=True),
    ):
        prompts = SharedPrefixBuilder(home)
        for context in (
            context_of(None),
            context_of(None, ann.id),
            *map(context_of, satellites(home)),
        ):
            draft = await prompts.async_draft(context, wanted)
            chat_log = conversation.ChatLog(home, "conv_1")
            await prompts.async_provide(chat_log, context, wanted)
            assert system_prompt_of(draft.content) == system_prompt_of(chat_log.content)
            assert draft.llm_api is not None
            assert chat_log.llm_api is not None
            assert [one.name for one in draft.llm_api.tools] == [
                one.name for one in chat_log.llm_api.tools
            ]


async def test_a_new_name_is_told_all_before_anything_is_made_ahead(home: HomeAssistant) -> None:
    """A question right after a change starts with the prompt that is prefilled later."""
    prompts, wanted = SharedPrefixBuilder(home), PromptSpec(("assist",), None, is_own=True)
    nobody, somebody = context_of(None), context_of(satellites(home)[0])
    registry = er.async_get(home)
    before = ""
    for name in ("Stove Lamp", "Hob Lamp"):
        registry.async_update_entity(LIGHT, name=name)
        chat_log = conversation.ChatLog(home, "conv_1")
        note = await prompts.async_provide(chat_log, somebody, wanted)
        asked = system_prompt_of(chat_log.content)
        assert name in asked
        assert note.startswith("You are in area")
        assert asked != before
        draft = await prompts.async_draft(nobody, wanted, is_renewed=True)
        assert system_prompt_of(draft.content) == asked
        before = asked


async def test_a_conversation_goes_on_with_the_prompt_that_it_began_with(
    home: HomeAssistant,
) -> None:
    """Also without an earlier question, and while speakers with other notes ask."""
    prompts, wanted = SharedPrefixBuilder(home), PromptSpec(("assist",), None, is_own=True)
    context = context_of(satellites(home)[0])
    chat_log = conversation.ChatLog(home, "conv_1")
    notes = {await prompts.async_provide(chat_log, context, wanted)}
    begun = system_prompt_of(chat_log.content)
    other = conversation.ChatLog(home, "conv_2")
    await prompts.async_provide(other, context_of(satellites(home)[1]), wanted)
    assert system_prompt_of(other.content) == begun
    notes.add(await prompts.async_provide(chat_log, context, wanted))
    assert system_prompt_of(chat_log.content) == begun
    assert len(notes) == 1


async def test_assist_is_rendered_once_for_each_device(home: HomeAssistant) -> None:
    """It is rendered again only if the prompt changes, or timers are registered."""
    assist, (device, *_) = RememberedAssist(home), satellites(home)
    first = await assist.async_get_api_instance(context_of(device))
    again = await assist.async_get_api_instance(context_of(device, "user"))
    assert again.api_prompt is first.api_prompt
    assert again.llm_context.context is not first.llm_context.context
    assert [*map(id, again.tools)] == [*map(id, first.tools)]
    home.states.async_set("sensor.something", "1")
    await home.async_block_till_done()
    for change in (
        lambda: er.async_get(home).async_update_entity(LIGHT, name="Stove Lamp"),
        lambda: with_timers(home, device),
        lambda: home.services.async_register("test", "test", lambda _call: None),
    ):
        known = await assist.async_get_api_instance(context_of(device))
        change()
        await home.async_block_till_done()
        changed = await assist.async_get_api_instance(context_of(device))
        assert changed.api_prompt is not known.api_prompt
        fresh = await llm.async_get_api(home, "assist", context_of(device))
        assert changed.api_prompt == fresh.api_prompt
        assert [one.name for one in changed.tools] == [one.name for one in fresh.tools]
