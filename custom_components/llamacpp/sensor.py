"""Sensor platform: properties of a server, and statistics of its last answer."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, override

from homeassistant.components.conversation import DOMAIN as CONVERSATION_DOMAIN
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfTime
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.restore_state import ExtraStoredData, RestoreEntity

from .app import WHOLE
from .const import DOMAIN, SUBENTRY_CONVERSATION
from .entity import LlamaCppEntity, agent_device
from .server_state import ServerStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from homeassistant.config_entries import ConfigSubentry
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
    from homeassistant.helpers.typing import StateType

    from .app import Download
    from .coordinator import LlamaCppConfigEntry
    from .server_state import AnswerStats, ServerState

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class ServerDescription(SensorEntityDescription):
    """Sensor for a value of the server's state.

    needs_metrics: needs the server's metrics. needs_server: not available behind a proxy.
    """

    value_fn: Callable[[ServerState], StateType]
    needs_metrics: bool = False
    needs_server: bool = False


@dataclass(frozen=True, kw_only=True)
class CounterDescription(SensorEntityDescription):
    """Counter of tokens; metric: name of the server's counter."""

    metric: str
    state_class: SensorStateClass = SensorStateClass.TOTAL_INCREASING
    suggested_display_precision: int = 0


@dataclass(frozen=True, kw_only=True)
class AnswerDescription(SensorEntityDescription):
    """Sensor for a value of the last answer."""

    value_fn: Callable[[AnswerStats], StateType]
    entity_category: EntityCategory = EntityCategory.DIAGNOSTIC
    state_class: SensorStateClass = SensorStateClass.MEASUREMENT


STATUS = SensorEntityDescription(
    key="status", device_class=SensorDeviceClass.ENUM, options=list(ServerStatus)
)
ACTIVE_CONVERSATIONS = SensorEntityDescription(
    key="active_conversations", state_class=SensorStateClass.MEASUREMENT
)
DOWNLOAD = SensorEntityDescription(
    key="download",
    entity_category=EntityCategory.DIAGNOSTIC,
    native_unit_of_measurement=PERCENTAGE,
    suggested_display_precision=0,
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
        needs_server=True,
        value_fn=lambda state: state.context_size,
    ),
    ServerDescription(
        key="slots_total",
        entity_category=EntityCategory.DIAGNOSTIC,
        needs_server=True,
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
)
COUNTERS = (
    CounterDescription(key="prompt_tokens", metric="prompt_tokens_total"),
    CounterDescription(key="cached_tokens", metric="prompt_tokens_cached_total"),
    CounterDescription(key="generated_tokens", metric="tokens_predicted_total"),
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
    """Add the sensors of a server; assume metrics for a router, as its models may have them."""
    state = entry.runtime_data.coordinator.data
    is_front = state.props.is_front
    keeps_metrics = state.props.has_metrics or state.loads_models
    async_add_entities(
        [
            LlamaCppStatus(entry, STATUS),
            LlamaCppActiveConversations(entry, ACTIVE_CONVERSATIONS),
            *(
                LlamaCppServerSensor(entry, one)
                for one in OF_SERVER
                if (keeps_metrics or not one.needs_metrics) and not (is_front and one.needs_server)
            ),
            *(LlamaCppCounter(entry, one) for one in COUNTERS if keeps_metrics),
            *(LlamaCppAnswerSensor(entry, one) for one in OF_ANSWER),
            *([LlamaCppDownload(entry, DOWNLOAD)] if entry.runtime_data.coordinator.app else []),
        ]
    )
    for agent in entry.get_subentries_of_type(SUBENTRY_CONVERSATION):
        async_add_entities(
            [LlamaCppAgentConversations(entry, agent)], config_subentry_id=agent.subentry_id
        )


class LlamaCppSensor(LlamaCppEntity, SensorEntity):
    """A sensor of a server."""

    def __init__(self, entry: LlamaCppConfigEntry, description: SensorEntityDescription) -> None:
        """Initialize the sensor with its description."""
        super().__init__(entry, description.key)
        self.entity_description = description


class LlamaCppStatus(LlamaCppSensor):
    """Status of the server, with the reason if it is not available."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def native_value(self) -> StateType:
        return self.coordinator.status


class LlamaCppDownload(LlamaCppSensor):
    """How much of a model our app has downloaded: all of it when nothing is to be downloaded."""

    @property
    @override
    def available(self) -> bool:
        return self.coordinator.app_state is not None

    @property
    @override
    def native_value(self) -> StateType:
        download = self._download
        return download.percent if download else WHOLE

    @property
    @override
    def extra_state_attributes(self) -> dict[str, Any]:
        download = self._download
        return {
            "model": download.model if download else None,
            "seconds_left": download.seconds_left if download else None,
            "error": download.error if download else None,
        }

    @property
    def _download(self) -> Download | None:
        state = self.coordinator.app_state
        return state.download if state else None


class LlamaCppActiveConversations(LlamaCppSensor):
    """Number of active conversations with a server's agents."""

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def native_value(self) -> StateType:
        return self.history.active_count()


class LlamaCppAgentConversations(LlamaCppActiveConversations):
    """Number of active conversations of an agent, on the agent's device."""

    def __init__(self, entry: LlamaCppConfigEntry, agent: ConfigSubentry) -> None:
        """Initialize the sensor of an agent."""
        super().__init__(entry, ACTIVE_CONVERSATIONS)
        self._attr_unique_id = self._agent = agent.subentry_id
        self._attr_device_info = agent_device(entry, agent)

    @property
    @override
    def native_value(self) -> StateType:
        agents = er.async_get(self.hass)
        agent_id = agents.async_get_entity_id(CONVERSATION_DOMAIN, DOMAIN, self._agent)
        return self.history.active_count(agent_id) if agent_id else 0


class LlamaCppServerSensor(LlamaCppSensor):
    """A value of the server's state."""

    entity_description: ServerDescription

    @property
    @override
    def native_value(self) -> StateType:
        return self.entity_description.value_fn(self.coordinator.data)


@dataclass(slots=True)
class Counted(ExtraStoredData):
    """Data of a counter that survives a restart.

    total: tokens since the server was added, None if it has never reported any. seen: last value of
    the server's own counter for each model in memory; it restarts at zero when the model is loaded.
    """

    total: int | None
    seen: dict[str, int]

    @override
    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def take(self, counts: Mapping[str, int], present: Collection[str]) -> None:
        """Add the increase since the last call. present: all models in memory, reporting or not."""
        for model, count in counts.items():
            before = self.seen.get(model, 0)
            self.total = (self.total or 0) + count - (before if before <= count else 0)
        known = {**self.seen, **counts}
        self.seen = {model: count for model, count in known.items() if model in present}


class LlamaCppCounter(LlamaCppSensor, RestoreEntity):
    """Counter of tokens of all models of a server.

    It never decreases: the server's own counter restarts with the server or the model, which
    statistics would treat as a reset or as an error, depending on its value.
    """

    entity_description: CounterDescription

    def __init__(self, entry: LlamaCppConfigEntry, description: CounterDescription) -> None:
        """Initialize the counter without a total."""
        super().__init__(entry, description)
        self._counted = Counted(None, {})

    @override
    async def async_added_to_hass(self) -> None:
        """Restore the counter."""
        await super().async_added_to_hass()
        if stored := await self.async_get_last_extra_data():
            self._counted = Counted(**stored.as_dict())
        self._take()

    @property
    @override
    def extra_restore_state_data(self) -> Counted:
        return self._counted

    @property
    @override
    def native_value(self) -> StateType:
        return self._counted.total

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        self._take()
        super()._handle_coordinator_update()

    def _take(self) -> None:
        state = self.coordinator.data
        self._counted.take(state.counts(self.entity_description.metric), state.present)


class LlamaCppAnswerSensor(LlamaCppSensor):
    """A value of the last answer."""

    entity_description: AnswerDescription

    @property
    @override
    def native_value(self) -> StateType:
        answer = self.coordinator.last_answer
        return self.entity_description.value_fn(answer) if answer else None
