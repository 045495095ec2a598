"""Issues about flags of llama-server that prevent prompt caching."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import issue_registry as ir

from custom_components.llamacpp.const import CONF_API_PORT, DOMAIN, HOME_CHANGE_SECONDS
from custom_components.llamacpp.serving.diagnosis import CacheProblem
from dev.processes import free_port
from tests.conftest import serving
from tests.integration.conftest import AGENT
from tests.integration.prefill import (
    MANY_TOKENS,
    SECOND_AGENT,
    add_agent,
    generated,
    is_cached,
    processed,
    task,
    timings_of,
    until_prefilled,
)

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer

ONE_SLOT = ("--ctx-size", "16384", "--parallel", "1")
TWO_SLOTS = ("--ctx-size", "32768", "--parallel", "2")
NO_HOST_CACHE = ("--cache-ram", "0")
SLOT_FOLDER = "{folder}/slots/"


def flags_in(folder: Path, flags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the flags, with the folder for slot files."""
    (folder / "slots").mkdir(exist_ok=True)
    return tuple(flag.format(folder=folder) for flag in flags)


async def hints(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str, ir.IssueEntry]:
    """Poll the server; return our issues about its cache, by kind."""
    await entry.runtime_data.coordinator.async_refresh()
    await until_prefilled(hass)
    registry = ir.async_get(hass)
    found = {
        one: registry.async_get_issue(DOMAIN, f"{one}_{entry.entry_id}") for one in CacheProblem
    }
    return {one.value: issue for one, issue in found.items() if issue and issue.active}


async def talk(hass: HomeAssistant, entry: ConfigEntry[Any], n_turns: int) -> None:
    """Ask both agents in turns."""
    for _ in range(n_turns):
        for agent in (AGENT, SECOND_AGENT):
            await timings_of(hass, entry, agent)
            await until_prefilled(hass)


async def test_nothing_is_cached(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """An issue says so, and nothing is prefilled until the server caches again."""
    port = free_port()
    flags = (*ONE_SLOT, "--no-cache-prompt")
    with serving(tmp_path / "1.txt", *flags, model=scripted_model, port=port) as server:
        entry = await add_server(server.base_url)
        await until_prefilled(home)
        coordinator = entry.runtime_data.coordinator
        for _ in range(2):
            await timings_of(home, entry)
            assert await hints(home, entry) == {}
        await timings_of(home, entry)
        found = await hints(home, entry)
        assert set(found) == {CacheProblem.NOT_CACHED}
        hint = found[CacheProblem.NOT_CACHED]
        assert (hint.severity, hint.is_fixable) == (ir.IssueSeverity.WARNING, False)
        assert (hint.learn_more_url or "").endswith("#prompts-that-do-not-stay-warm")
        placeholders = hint.translation_placeholders or {}
        assert placeholders["server"] == entry.title
        assert int(placeholders["tokens"]) > MANY_TOKENS
        before = await generated(coordinator)
        er.async_get(home).async_update_entity("light.kitchen_light", name="Stove Lamp")
        await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
        await until_prefilled(home)
        assert await generated(coordinator) == before
    await coordinator.async_refresh()
    with serving(tmp_path / "2.txt", *ONE_SLOT, model=scripted_model, port=port):
        await coordinator.async_refresh()
        await until_prefilled(home)
        assert await processed(coordinator) > MANY_TOKENS
        assert is_cached(await timings_of(home, entry))
        assert await hints(home, entry) == {}


@pytest.mark.parametrize(
    "remedy",
    [
        ONE_SLOT,
        (*TWO_SLOTS, *NO_HOST_CACHE),
        (*ONE_SLOT, *NO_HOST_CACHE, "--slot-save-path", SLOT_FOLDER),
    ],
    ids=["host-cache", "two-slots", "disk"],
)
async def test_agents_push_each_other_out(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    remedy: tuple[str, ...],
) -> None:
    """One slot without host cache is reported; each remedy keeps the prompts."""
    port = free_port()
    bad, good = (*ONE_SLOT, *NO_HOST_CACHE), flags_in(tmp_path, remedy)
    with serving(tmp_path / "1.txt", *bad, model=scripted_model, port=port) as server:
        entry = await add_server(server.base_url)
        await add_agent(home, entry, prompt="You are the second.")
        coordinator = entry.runtime_data.coordinator
        assert await hints(home, entry) == {}
        await talk(home, entry, 2)
        found = await hints(home, entry)
        assert set(found) == {CacheProblem.PUSHED_OUT}
        placeholders = found[CacheProblem.PUSHED_OUT].translation_placeholders or {}
        assert (placeholders["agents"], placeholders["slots"]) == ("2", "1")
        assert int(placeholders["tokens"]) > MANY_TOKENS
    await coordinator.async_refresh()
    with serving(tmp_path / "2.txt", *good, model=scripted_model, port=port):
        await coordinator.async_refresh()
        await until_prefilled(home)
        # Slot files are used once the memory has failed.
        await talk(home, entry, 1)
        for agent in (AGENT, SECOND_AGENT) * 2:
            assert is_cached(await timings_of(home, entry, agent))
        assert await hints(home, entry) == {}


async def test_a_task_pushes_the_home_out(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """One agent is enough: each task evicts the home."""
    flags = (*ONE_SLOT, *NO_HOST_CACHE)
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        await until_prefilled(home)
        for _ in range(3):
            assert await hints(home, entry) == {}
            await task(home)
            await until_prefilled(home)
        assert set(await hints(home, entry)) == {CacheProblem.PUSHED_OUT}


@pytest.mark.parametrize(
    "flags",
    [
        (*ONE_SLOT,),
        (*TWO_SLOTS,),
        ("--ctx-size", "16384"),
        (*TWO_SLOTS, *NO_HOST_CACHE, "--slot-save-path", SLOT_FOLDER),
        (*TWO_SLOTS, "--slot-save-path", SLOT_FOLDER),
    ],
    ids=["one-slot", "two-slots", "default", "disk", "disk-and-host-cache"],
)
async def test_a_good_server(
    home: HomeAssistant,
    add_server: AddServer,
    scripted_model: Path,
    tmp_path: Path,
    flags: tuple[str, ...],
) -> None:
    """A server that caches gets no issue."""
    flags = flags_in(tmp_path, flags)
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        await add_agent(home, entry, prompt="You are the second.")
        for _ in range(3):
            await talk(home, entry, 1)
            await task(home)
            assert await hints(home, entry) == {}
        for agent in (AGENT, SECOND_AGENT):
            assert is_cached(await timings_of(home, entry, agent))


async def test_never_of_our_app(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """The app sets its flags itself."""
    flags = (*ONE_SLOT, "--no-cache-prompt")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        home.config_entries.async_update_entry(
            entry, data={**entry.data, CONF_API_PORT: free_port()}
        )
        await until_prefilled(home)
        for _ in range(4):
            await timings_of(home, entry)
        assert await hints(home, entry) == {}


async def test_what_was_dismissed(
    home: HomeAssistant, add_server: AddServer, scripted_model: Path, tmp_path: Path
) -> None:
    """An ignored issue stays ignored; it is deleted with its server."""
    flags = (*ONE_SLOT, "--no-cache-prompt")
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        entry = await add_server(server.base_url)
        await until_prefilled(home)

        async def found() -> ir.IssueEntry:
            for _ in range(4):
                await timings_of(home, entry)
            return (await hints(home, entry))[CacheProblem.NOT_CACHED]

        hint = await found()
        assert await home.config_entries.async_reload(entry.entry_id)
        assert await hints(home, entry) == {}
        assert (await found()).dismissed_version is None
        ir.async_ignore_issue(home, DOMAIN, hint.issue_id, ignore=True)
        assert await home.config_entries.async_reload(entry.entry_id)
        assert (await found()).dismissed_version is not None
        await home.config_entries.async_remove(entry.entry_id)
        assert ir.async_get(home).async_get_issue(DOMAIN, hint.issue_id) is None
