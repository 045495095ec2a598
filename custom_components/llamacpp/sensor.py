"""What a server tells of itself, and what its newest answer took."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, override

from homeassistant.components.conversation import DOMAIN as CONVERSATION_DOMAIN
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfTime
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN, SUBENTRY_CONVERSATION
from .entity import LlamaCppEntity, agent_device
from .state import ServerStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.config_entries import ConfigSubentry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
    from homeassistant.helpers.typing import StateType

    from .coordinator import LlamaCppConfigEntry
    from .state import AnswerStats, ServerState

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ServerDescription(SensorEntityDescription):
    """What the server tells; needs_metrics: only if it keeps metrics."""

    value_fn: Callable[[ServerState], StateType]
    needs_metrics: bool = False


@dataclass(frozen=True, kw_only=True)
class CounterDescription(ServerDescription):
    """Tokens since the start of the server."""

    state_class: SensorStateClass = SensorStateClass.TOTAL_INCREASING
    suggested_display_precision: int = 0
    needs_metrics: bool = True


@dataclass(frozen=True, kw_only=True)
class AnswerDescription(SensorEntityDescription):
    """What the newest answer of an agent took."""

    value_fn: Callable[[AnswerStats], StateType]
    entity_category: EntityCategory = EntityCategory.DIAGNOSTIC
    state_class: SensorStateClass = SensorStateClass.MEASUREMENT


STATUS = SensorEntityDescription(
    key="status", device_class=SensorDeviceClass.ENUM, options=list(ServerStatus)
)
ACTIVE_CONVERSATIONS = SensorEntityDescription(
    key="active_conversations", state_class=SensorStateClass.MEASUREMENT
)
OF_SERVER = (
    ServerDescription(
        key="model",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda state: state.model_name,
    ),
    ServerDescription(
        key="context_size",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda state: state.context_size,
    ),
    ServerDescription(
        key="slots_total",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda state: state.slots_total,
    ),
    ServerDescription(
        key="slots_busy",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        state_class=SensorStateClass.MEASUREMENT,
        needs_metrics=True,
        value_fn=lambda state: state.slots_busy,
    ),
    CounterDescription(
        key="prompt_tokens", value_fn=lambda state: state.count("prompt_tokens_total")
    ),
    CounterDescription(
        key="cached_tokens", value_fn=lambda state: state.count("prompt_tokens_cached_total")
    ),
    CounterDescription(
        key="generated_tokens", value_fn=lambda state: state.count("tokens_predicted_total")
    ),
)
OF_ANSWER = (
    AnswerDescription(
        key="time_to_first_token",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=2,
        value_fn=lambda answer: answer.first_text_seconds,
    ),
    AnswerDescription(
        key="cached_share",
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value_fn=lambda answer: answer.cached_share,
    ),
    AnswerDescription(
        key="prompt_speed",
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value_fn=lambda answer: answer.prompt_speed,
    ),
    AnswerDescription(
        key="generation_speed",
        suggested_display_precision=1,
        entity_registry_enabled_default=False,
        value_fn=lambda answer: answer.generation_speed,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,  # noqa: ARG001 - Home Assistant calls it with this
    entry: LlamaCppConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of a server; of a router's models it is not known what they tell."""
    props = entry.runtime_data.data.props
    keeps_metrics = props.has_metrics or props.is_router
    async_add_entities(
        [
            LlamaCppStatus(entry, STATUS),
            LlamaCppActiveConversations(entry, ACTIVE_CONVERSATIONS),
            *(
                LlamaCppServerSensor(entry, one)
                for one in OF_SERVER
                if keeps_metrics or not one.needs_metrics
            ),
            *(LlamaCppAnswerSensor(entry, one) for one in OF_ANSWER),
        ]
    )
    for agent in entry.get_subentries_of_type(SUBENTRY_CONVERSATION):
        async_add_entities(
            [LlamaCppAgentConversations(entry, agent)], config_subentry_id=agent.subentry_id
        )


class LlamaCppSensor(LlamaCppEntity, SensorEntity):
    """A sensor of a server."""

    def __init__(self, entry: LlamaCppConfigEntry, description: SensorEntityDescription) -> None:
        """Make the sensor that is described."""
        super().__init__(entry, description.key)
        self.entity_description = description


class LlamaCppStatus(LlamaCppSensor):
    """What the server is up to; also tells why it is away."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def native_value(self) -> StateType:
        return self.coordinator.status


class LlamaCppActiveConversations(LlamaCppSensor):
    """How many conversations are going on with a server's agents."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def native_value(self) -> StateType:
        return self.coordinator.history.active_count()


class LlamaCppAgentConversations(LlamaCppActiveConversations):
    """How many of these are an agent's, on the agent's device."""

    def __init__(self, entry: LlamaCppConfigEntry, agent: ConfigSubentry) -> None:
        """Make the sensor of an agent."""
        super().__init__(entry, ACTIVE_CONVERSATIONS)
        self._attr_unique_id = self._agent = agent.subentry_id
        self._attr_device_info = agent_device(entry, agent)

    @property
    @override
    def native_value(self) -> StateType:
        agents = er.async_get(self.hass)
        agent_id = agents.async_get_entity_id(CONVERSATION_DOMAIN, DOMAIN, self._agent)
        return self.coordinator.history.active_count(agent_id) if agent_id else 0


class LlamaCppServerSensor(LlamaCppSensor):
    """Something that the server tells."""

    entity_description: ServerDescription

    @property
    @override
    def native_value(self) -> StateType:
        return self.entity_description.value_fn(self.coordinator.data)


class LlamaCppAnswerSensor(LlamaCppSensor):
    """Something that the newest answer took."""

    entity_description: AnswerDescription

    @property
    @override
    def native_value(self) -> StateType:
        answer = self.coordinator.last_answer
        return self.entity_description.value_fn(answer) if answer else None
