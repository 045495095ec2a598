"""The system prompt is the same for every satellite, user and restart."""

from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components import conversation
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.const import CONF_LLM_HASS_API, CONF_PROMPT
from homeassistant.core import Context
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import llm

from custom_components.llamacpp.conversation import MAX_SPEAKERS
from custom_components.llamacpp.prompt.builder import PromptSpec, SharedPrefixBuilder
from custom_components.llamacpp.prompt.messages import to_messages
from custom_components.llamacpp.prompt.notes import set_note
from custom_components.llamacpp.prompt.shared_prefix import system_prompt_of
from custom_components.llamacpp.serving.fingerprint import Fingerprint
from tests.integration.conftest import AGENT, agent_of
from tests.integration.prefill import FEW_TOKENS, generated, until_prefilled
from tests.integration.speakers import (
    ANSWER,
    ask_as,
    n_common,
    satellites,
    tokens_of,
    until_change_prefilled,
    with_timers,
)
from tests.integration.talk import last_trace, llama_peer, state_of

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers


async def test_common_beginning(
    home: HomeAssistant, add_server: AddServer, peers: Peers, scripted_server: LlamaServer
) -> None:
    """For satellites with and without timers, users and restarts: only the end differs."""
    url, requests = await llama_peer(peers, *[ANSWER] * 20)
    entry = await add_server(url)
    prompt = {CONF_PROMPT: "You speak to {{ user_name }}.\nBe brief."}
    agent = agent_of(entry)
    home.config_entries.async_update_subentry(entry, agent, data={**agent.data, **prompt})
    devices = satellites(home)
    with_timers(home, devices[0])
    ann = await home.auth.async_create_user("Ann")
    bob = await home.auth.async_create_user("Bob")
    await until_change_prefilled(home)
    for _restart in range(3):
        for device in (None, *devices):
            await ask_as(home, device=device)
        await ask_as(home, device=devices[1], user=ann.id)
        await ask_as(home, user=bob.id)
        # A restart: the entry's memory is lost.
        await home.config_entries.async_reload(entry.entry_id)
        await until_prefilled(home)
    client = (await add_server(scripted_server.base_url)).runtime_data.client
    prompts = await tokens_of(client, requests)
    assert len(prompts) == 3 * (3 + len(devices))
    common = n_common(prompts)
    assert common > 1000
    assert max(len(prompt) - common for prompt in prompts) < FEW_TOKENS
    # The notes still differ.
    words = [one["messages"][-1]["content"] for one in requests]
    assert sum("You speak to Ann." in one for one in words) == 3
    assert "This device is not able to start timers." not in words[1]
    assert "This device is not able to start timers." in words[2]
    assert all("HassStartTimer" in str(one["tools"]) for one in requests)


async def test_another_satellite_finds_the_home_processed(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """A question from one room prefills the home for all rooms."""
    first, second, *_ = satellites(home)
    with_timers(home, first)
    entry = await add_server(own_server.base_url)
    await until_prefilled(home)
    for device in (first, second, None, first):
        await ask_as(home, device=device)
        usage = entry.runtime_data.coordinator.last_answer.completion.usage
        assert usage.prompt_tokens - usage.cached_tokens < FEW_TOKENS


def plain_device(hass: HomeAssistant, name: str, area: str | None) -> str:
    """Return a new device without entities, such as a panel or a phone."""
    devices, (entry, *_) = dr.async_get(hass), hass.config_entries.async_entries("virtual_home")
    made = devices.async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("test", name)}, name=name
    )
    devices.async_update_device(made.id, area_id=area)
    return made.id


async def test_devices_that_nobody_has_seen_before(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """Their first questions find the prompt prefilled, also after each kind of change."""
    entry = await add_server(own_server.base_url)
    await until_change_prefilled(home)
    areas = [one.id for one in ar.async_get(home).async_list_areas()]
    with_timers(home, satellites(home)[0])

    async def ask_all(device: str | None, user: str | None) -> None:
        await ask_as(home, device=device, user=user)
        usage = entry.runtime_data.coordinator.last_answer.completion.usage
        assert usage.prompt_tokens - usage.cached_tokens < FEW_TOKENS

    for number, change in enumerate(("none", "name", "timers", "reload")):
        if change == "name":
            er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
        if change == "reload":
            await home.config_entries.async_reload(entry.entry_id)
        speakers = [
            plain_device(home, f"Panel {number}", areas[0]),
            plain_device(home, f"Phone {number}", None),
            plain_device(home, f"Wall {number}", areas[-1]),
        ]
        ann = await home.auth.async_create_user(f"Ann {number}")
        await until_change_prefilled(home)
        if change == "timers":
            # A satellite connects after the prefill.
            with_timers(home, speakers[0])
            with_timers(home, speakers[1])
        for device in speakers:
            await ask_all(device, None)
        await ask_all(speakers[2], ann.id)
        await ask_all(None, ann.id)


async def test_who_has_spoken_is_known_after_a_restart(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """Home Assistant restores the newest speakers, so that their notes can be prefilled."""
    url, _requests = await llama_peer(peers, *[ANSWER] * (MAX_SPEAKERS + 2))
    entry = await add_server(url)
    panels = [plain_device(home, f"Panel {number}", None) for number in range(MAX_SPEAKERS + 1)]
    end_timers = async_register_timer_handler(home, panels[0], lambda _event, _timer: None)
    for panel in panels:
        await ask_as(home, device=panel)
    await ask_as(home, device=panels[1])
    end_timers()
    await home.config_entries.async_reload(entry.entry_id)
    agent = home.data[conversation.const.DATA_COMPONENT].get_entity(AGENT)
    assert agent
    stored = agent.extra_restore_state_data
    assert stored
    newest = [*panels[2:], panels[1]]
    assert [*stored.as_dict()["speakers"]] == newest
    # It also restores that a device had timers: the device may connect later.
    assert stored.as_dict()["timers"] is True
    prompts, wanted = SharedPrefixBuilder(home), PromptSpec(("assist",), None, is_own=True)
    nobody = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    await prompts.async_renew(nobody, wanted)
    notes = await prompts.async_notes(reversed(newest), nobody, wanted)
    assert panels[1] in notes


@pytest.mark.parametrize(
    "template",
    [
        "{% if user_name %}You speak to {{ user_name }}.{% else %}Somebody speaks.{% endif %}\nGo.",
        "You speak {{ llm_context.language }}.\nBe brief.",
        "{{ user_name.upper() }} speaks.\nBe brief.",
        "{% if llm_context.device_id %}Be brief.\n{% endif %}You are a home.",
        "{% if user_name == 'Ann' %}You love Ann.{% elif user_name %}Hello.{% endif %}\nBe brief.",
    ],
)
async def test_whatever_a_template_says_of_speakers(home: HomeAssistant, template: str) -> None:
    """All prompts start alike once each kind has spoken, and no line is lost."""
    wanted = PromptSpec(("assist",), template, is_own=True)
    prompts = SharedPrefixBuilder(home)
    ann = await home.auth.async_create_user("Ann")
    bob = await home.auth.async_create_user("Bob")
    speakers = [
        (device, user, language)
        for device in (satellites(home)[0], plain_device(home, "Phone", None))
        for user in (ann.id, bob.id)
        for language in ("en", "it")
    ]
    for name in ("Stove Lamp", "Hob Lamp"):
        er.async_get(home).async_update_entity("light.kitchen_light", name=name)
        systems: list[str] = []
        for turn in range(2):
            for device, user, language in speakers:
                context = llm.LLMContext(
                    "llamacpp", Context(user_id=user), language, "conversation", device
                )
                chat_log = conversation.ChatLog(home, "conv")
                note = await prompts.async_provide(chat_log, context, wanted)
                system = system_prompt_of(chat_log.content)
                whole = conversation.ChatLog(home, "whole")
                await whole.async_provide_llm_data(context, ["assist"], template)
                told = system_prompt_of(whole.content)
                assert sorted(filter(None, f"{system}\n{note}".split("\n"))) == sorted(
                    filter(None, told.split("\n"))
                )
                if turn:
                    systems.append(system)
        assert len(set(systems)) == 1
        assert name in systems[0]


async def test_changes_of_the_home_are_processed_before_somebody_asks(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """A new name or area is prefilled without a question; a new state is not."""
    entry = await add_server(own_server.base_url)
    await until_change_prefilled(home)
    registry, light = er.async_get(home), "light.kitchen_light"
    before = await generated(entry.runtime_data.coordinator)
    registry.async_update_entity(light, name="Stove Lamp")
    await until_change_prefilled(home)
    assert await generated(entry.runtime_data.coordinator) == before + 1
    garden = ar.async_get(home).async_create("Winter Garden")
    registry.async_update_entity(light, area_id=garden.id)
    await until_change_prefilled(home)
    assert await generated(entry.runtime_data.coordinator) == before + 2
    await ask_as(home)
    usage = entry.runtime_data.coordinator.last_answer.completion.usage
    assert usage.prompt_tokens - usage.cached_tokens < FEW_TOKENS
    await until_change_prefilled(home)
    before = await generated(entry.runtime_data.coordinator)
    state = state_of(home, light)
    home.states.async_set(light, "on", state.attributes)
    await until_change_prefilled(home)
    assert await generated(entry.runtime_data.coordinator) == before


async def test_tasks_begin_alike(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """The clock comes after the instructions of a task, not within them."""
    url, requests = await llama_peer(peers, ANSWER)
    await add_server(url)
    data = {"task_name": "t", "instructions": "Hello", "entity_id": "ai_task.house_llama_ai_task"}
    await home.services.async_call(
        "ai_task", "generate_data", data, blocking=True, return_response=True
    )
    system, task = requests[0]["messages"]
    assert "Current time" not in system["content"]
    assert task["content"].startswith("[Current time is ")


async def test_an_agent_that_controls_nothing(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It gets no tools of a device."""
    url, requests = await llama_peer(peers, *[ANSWER] * 4)
    entry = await add_server(url)
    await set_api(home, entry, [])
    first, *_ = satellites(home)
    with_timers(home, first)
    await ask_as(home, device=first)
    assert [one["function"]["name"] for one in requests[0]["tools"]] == ["llm__GetDateTime"]


async def set_api(hass: HomeAssistant, entry: ConfigEntry[Any], apis: list[str]) -> None:
    """Change the APIs of an agent."""
    agent = agent_of(entry)
    data = {**agent.data, CONF_LLM_HASS_API: apis}
    hass.config_entries.async_update_subentry(entry, agent, data=data)
    await until_prefilled(hass)


async def test_the_trace_tells_why(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """Of each request: cached tokens, processed tokens, and the first part that changed."""
    entry = await add_server(own_server.base_url)
    await until_change_prefilled(home)

    def told() -> dict[str, Any]:
        (prompt,) = [one["prompt"] for one in last_trace("agent_detail") if "prompt" in one]
        return dict(prompt)

    await ask_as(home)
    assert told()["changed_from"] == "everything"
    assert told()["from_cache"] > 1000
    assert 0 < told()["processed"] < FEW_TOKENS
    await ask_as(home, device=satellites(home)[0])
    assert told()["changed_from"] == "newest_words"
    er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
    await ask_as(home)
    assert told()["changed_from"] == "system_prompt"
    await set_api(home, entry, [])
    await ask_as(home)
    assert told()["changed_from"] == "everything"


def test_what_has_changed() -> None:
    """The first part that differs is named."""

    def parts(*said: str, tools: list[str] | None = None) -> Fingerprint:
        return Fingerprint.of({"messages": list(said), "tools": tools})

    before = parts("system", "one", "1", "two")
    assert parts("system", "one", "1", "two", "2", "three").changed_since(before) == "newest_words"
    assert parts("system", "hello").changed_since(before) == "newest_words"
    assert parts("system", "one", "2", "two").changed_since(before) == "earlier_turns"
    assert parts("system", "one", tools=["t"]).changed_since(before) == "tools"
    assert parts("other", "one", tools=["t"]).changed_since(before) == "system_prompt"
    assert before.changed_since(None) == "everything"


class KeepingChatLog(conversation.ChatLog):
    """As of Home Assistant 2026.11: a conversation keeps its prompt and tools."""

    async def async_provide_llm_data(self, *arguments: Any) -> None:
        """Add what is missing."""
        if self.llm_api is None:
            await super().async_provide_llm_data(*arguments)


async def test_a_conversation_that_keeps_its_prompt(home: HomeAssistant) -> None:
    """Its note stays the same from turn to turn, and does not pile up."""
    prompts, wanted = SharedPrefixBuilder(home), PromptSpec(("assist",), None, is_own=True)
    device = satellites(home)[0]
    context = llm.LLMContext("llamacpp", Context(), "it", "conversation", device)
    chat_log = KeepingChatLog(home, "conv_1")
    notes = []
    for words in ("One", "Two", "Three"):
        said = conversation.UserContent(words)
        chat_log.content.append(said)
        note = await prompts.async_provide(chat_log, context, wanted)
        # The agent adds the language of the answer like this.
        set_note(said, f"{note}\nRispondi in italiano.")
        notes.append(note)
    assert notes[0].startswith("You are in area")
    assert notes == [notes[0]] * 3
    said_to_model = [one["content"] for one in to_messages(chat_log.content)[1:]]
    assert said_to_model[1:] == ["Two", "Three"]
