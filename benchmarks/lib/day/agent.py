"""Sets up one agent for the day, with short and deterministic answers."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dev.agent_setup import AGENT_SECONDS, add_server

from ..agents import CORE, OURS, add_server_to_core, set_up_pipeline
from ..errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dev.ha_client import HomeAssistantClient

ANSWER_TOKENS = 32
SAMPLING = {"temperature": 0}
APIS = {"llm_hass_api": ["assist"]}
# Any name will do: the server has only one model.
CORE_CHOICE = {"chat_model": "local-model", "recommended": False}
RELOAD_SECONDS = 0.5
FLOWS = "/api/config/config_entries/subentries/flow"


@dataclass(frozen=True, slots=True)
class DayAgent:
    """The agent. pipeline: the id. task_entity: for AI tasks, None: the agent takes them."""

    entity_id: str
    pipeline: str
    task_entity: str | None


@dataclass(frozen=True, slots=True)
class Manner:
    """Settings of an agent: limit of answer tokens, and language.

    tool_calls, exact_first: our options, for the way to offer tools, and for Home Assistant's own
    sentences first.
    """

    answer_tokens: int = ANSWER_TOKENS
    language: str = "en"
    tool_calls: str = "auto"
    exact_first: bool = False


SHORT = Manner()


async def set_up_agent(
    client: HomeAssistantClient,
    domain: str,
    server_url: str,
    manner: Manner = SHORT,
    *,
    keep_warm: bool = True,
) -> DayAgent:
    """Add a server to an integration and return its agent.

    domain: `OURS` or `CORE`. keep_warm: our option to prefill prompts. Raises
    HomeAssistantError or BenchmarkError.
    """
    before = await _entry_ids(client, domain)
    if domain == OURS:
        await add_server(client, server_url)
    else:
        await add_server_to_core(client, server_url)
    (entry_id,) = await _entry_ids(client, domain) - before
    for subentry in await client.command("config_entries/subentries/list", entry_id=entry_id):
        forms = _forms(domain, subentry["subentry_type"], manner, keep_warm=keep_warm)
        await _reconfigure(client, entry_id, subentry, forms)
    agent = await set_up_pipeline(client, domain, language=manner.language, entry_id=entry_id)
    entities = await client.command("config/entity_registry/list")
    tasks = [
        str(one["entity_id"])
        for one in entities
        if one["config_entry_id"] == entry_id and one["entity_id"].startswith("ai_task.")
    ]
    return DayAgent(agent.entity_id, agent.pipeline, tasks[0] if tasks else None)


async def _entry_ids(client: HomeAssistantClient, domain: str) -> set[str]:
    return {one["entry_id"] for one in await client.command("config_entries/get", domain=domain)}


def _forms(
    domain: str, subentry_type: str, manner: Manner, *, keep_warm: bool
) -> list[dict[str, Any]]:
    """Return the values to enter for short and deterministic answers, by form."""
    limits = {"max_tokens": manner.answer_tokens}
    if domain == CORE:
        # Only the second form has the fields for limits.
        return [{**APIS, **CORE_CHOICE}, {**APIS, **CORE_CHOICE, **limits, **SAMPLING}]
    talks = subentry_type == "conversation"
    if not talks:
        return [{"answer": limits, "sampling": SAMPLING}]
    own = {**APIS, "keep_warm": keep_warm, "keep_history": True}
    answer = {**limits, "exact_first": manner.exact_first, "tool_calls": manner.tool_calls}
    return [{**own, "answer": answer, "sampling": SAMPLING}]


async def _reconfigure(
    client: HomeAssistantClient,
    entry_id: str,
    subentry: Mapping[str, Any],
    forms: Iterable[Mapping[str, Any]],
) -> None:
    """Submit the forms of an agent's options; raises BenchmarkError if they are refused."""
    start = {
        "handler": [entry_id, subentry["subentry_type"]],
        "subentry_id": subentry["subentry_id"],
    }
    for values in forms:
        # Home Assistant reloads the entry after each change.
        await _until_loaded(client, entry_id)
        step = await client.request("POST", FLOWS, start)
        step = await client.request("POST", f"{FLOWS}/{step['flow_id']}", values)
        if step.get("reason") != "reconfigure_successful":
            raise BenchmarkError(f"the options of an agent are refused: {step}")
    await _until_loaded(client, entry_id)


async def _until_loaded(client: HomeAssistantClient, entry_id: str) -> None:
    async with asyncio.timeout(AGENT_SECONDS):
        while True:
            # A reload begins a moment after the change.
            await asyncio.sleep(RELOAD_SECONDS)
            entry = await client.command("config_entries/get_single", entry_id=entry_id)
            if entry["config_entry"]["state"] == "loaded":
                return
