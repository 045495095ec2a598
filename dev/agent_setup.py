"""Makes the integration's agent the one that a Home Assistant's preferred pipeline speaks to."""

import asyncio
from typing import TYPE_CHECKING, Any

from .ha_client import HomeAssistantError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .ha_client import HomeAssistantClient

DOMAIN = "llamacpp"
POLL_SECONDS = 0.1
AGENT_SECONDS = 30.0


async def ensure_agent(client: HomeAssistantClient, server_url: str) -> str:
    """Set up the integration for this server if it is not, and return the agent's entity id.

    Raises HomeAssistantError if the server is refused.
    """
    entries = await client.command("config_entries/get", domain=DOMAIN)
    title = server_url.removeprefix("http://")
    if not any(entry["title"] == title for entry in entries):
        for entry in entries:
            await client.request("DELETE", f"/api/config/config_entries/entry/{entry['entry_id']}")
        await add_server(client, server_url)
    agent = await find_agent(client)
    await prefer_agent(client, agent)
    return agent


async def add_server(client: HomeAssistantClient, server_url: str) -> None:
    """Go through the integration's configuration flow as the browser does."""
    step = await client.start_flow(DOMAIN)
    step = await client.next_step(step["flow_id"], {"url": server_url})
    while step.get("step_id") in ("model", "core_integration"):
        # A router asks for a model; and somebody may have added the server to Home Assistant's own
        # integration, too.
        step = await client.next_step(step["flow_id"], {})
    if step["type"] != "create_entry":
        why = step.get("errors") or step.get("reason") or step.get("step_id")
        message = f"The integration does not take the server {server_url}: {why}"
        raise HomeAssistantError(message)


async def find_agent(client: HomeAssistantClient) -> str:
    """Return the entity id of the integration's agent, as soon as it is available."""
    async with asyncio.timeout(AGENT_SECONDS):
        while True:
            for entry in await client.command("config/entity_registry/list"):
                entity_id = str(entry["entity_id"])
                is_agent = entry["platform"] == DOMAIN and entity_id.startswith("conversation.")
                if is_agent and await is_available(client, entity_id):
                    return entity_id
            await asyncio.sleep(POLL_SECONDS)


async def is_available(client: HomeAssistantClient, entity_id: str) -> bool:
    """Tell whether an entity has a state, and not `unavailable`."""
    try:
        state = await client.state(entity_id)
    except HomeAssistantError:
        return False
    return bool(state["state"] != "unavailable")


async def newest_answer(client: HomeAssistantClient) -> dict[str, Any] | None:
    """Return what the newest answer took, as the integration's diagnostics tell it.

    The server's own counters would count what warm-ups took meanwhile, too.
    """
    entry, *_ = await client.command("config_entries/get", domain=DOMAIN)
    told = await client.request("GET", f"/api/diagnostics/config_entry/{entry['entry_id']}")
    answer: dict[str, Any] | None = told["data"]["last_answer"]
    return answer


async def prefer_agent(client: HomeAssistantClient, agent: str) -> None:
    """Have the preferred pipeline send everything that is said to this agent."""
    await update_pipeline(client, {"conversation_engine": agent, "prefer_local_intents": False})


async def update_pipeline(client: HomeAssistantClient, wanted: Mapping[str, Any]) -> None:
    """Change the preferred pipeline where it is not as wanted."""
    pipelines = await client.command("assist_pipeline/pipeline/list")
    pipeline: Mapping[str, Any] = next(
        one for one in pipelines["pipelines"] if one["id"] == pipelines["preferred_pipeline"]
    )
    if wanted.items() <= pipeline.items():
        return
    fields = {key: value for key, value in pipeline.items() if key != "id"}
    await client.command(
        "assist_pipeline/pipeline/update", pipeline_id=pipeline["id"], **fields | dict(wanted)
    )
