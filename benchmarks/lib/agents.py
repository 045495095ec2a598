"""The two agents that are compared, in one Home Assistant, each with its own pipeline."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dev.agent_setup import AGENT_SECONDS, POLL_SECONDS, add_server, is_available

from .errors import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.ha_client import HomeAssistantClient

    from .scripted_server import ScriptedServer

OURS = "llamacpp"
CORE = "llama_cpp"
DOMAINS = (OURS, CORE)
VALIDATED_TWICE = 2


@dataclass(frozen=True, slots=True)
class Agent:
    """A conversation agent. domain: of its integration. pipeline: the id of its pipeline."""

    domain: str
    entity_id: str
    pipeline: str


async def set_up_agents(client: HomeAssistantClient, server: ScriptedServer) -> list[Agent]:
    """Add the server to both integrations, and return their agents: ours, then core's.

    Both have the Assist API, as by default. Raises HomeAssistantError or
    BenchmarkError if one of them is not set up.
    """
    await add_server(client, server.base_url)
    await add_server_to_core(client, server.base_url)
    # It validates a whole answer and a stream; where the latter failed, it would never stream.
    if len(server.take_chats()) != VALIDATED_TWICE:
        message = f"core's {CORE} did not validate the scripted server as expected"
        raise BenchmarkError(message)
    return [await set_up_pipeline(client, domain) for domain in DOMAINS]


async def add_server_to_core(client: HomeAssistantClient, server_url: str) -> None:
    """Go through the flow of core's integration as the browser does; raises BenchmarkError."""
    step = await client.start_flow(CORE)
    step = await client.next_step(step["flow_id"], {"base_url": f"{server_url}/v1"})
    if step["type"] == "form" and step["step_id"] == "model":
        suggested = step["data_schema"][0]["description"]["suggested_value"]
        step = await client.next_step(step["flow_id"], {"chat_model": suggested})
    if step["type"] != "create_entry":
        message = f"core's {CORE} does not take the server: {step.get('errors')}"
        raise BenchmarkError(message)


async def set_up_pipeline(
    client: HomeAssistantClient, domain: str, *, language: str = "en", entry_id: str | None = None
) -> Agent:
    """Wait for an integration's agent, and create a pipeline for it.

    entry_id: of the agent's entry, None: the integration has only one. Raises BenchmarkError if
    the agent does not become available.
    """
    entity_id = await _entity_id(client, domain, entry_id)
    return Agent(domain, entity_id, await create_pipeline(client, entity_id, language))


async def create_pipeline(client: HomeAssistantClient, entity_id: str, language: str) -> str:
    """Create a pipeline that sends everything to this agent, and return its id."""
    pipeline: Mapping[str, Any] = await client.command(
        "assist_pipeline/pipeline/create",
        name=entity_id,
        language=language,
        conversation_engine=entity_id,
        conversation_language=language,
        prefer_local_intents=False,
        **dict.fromkeys(
            (
                *("stt_engine", "stt_language", "tts_engine", "tts_language", "tts_voice"),
                *("wake_word_entity", "wake_word_id"),
            )
        ),
    )
    return str(pipeline["id"])


async def _entity_id(client: HomeAssistantClient, domain: str, entry_id: str | None) -> str:
    try:
        async with asyncio.timeout(AGENT_SECONDS):
            while True:
                for entry in await client.command("config/entity_registry/list"):
                    if (
                        entry["platform"] == domain
                        and entry_id in (None, entry["config_entry_id"])
                        and entry["entity_id"].startswith("conversation.")
                        and await is_available(client, entry["entity_id"])
                    ):
                        return str(entry["entity_id"])
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        message = f"the agent of {domain} did not become available"
        raise BenchmarkError(message) from None
