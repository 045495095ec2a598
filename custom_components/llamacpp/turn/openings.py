"""Answer questions about windows and doors that only have a contact sensor.

Home Assistant's sentences about windows, doors and gates are for covers. In a home with contact
sensors they would answer that nothing is open, or that all is closed.
"""

from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.components.binary_sensor.const import DOMAIN as BINARY_SENSOR
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.components.conversation.agent_manager import async_get_agent
from homeassistant.components.conversation.default_agent import DefaultAgent
from homeassistant.components.cover import DOMAIN as COVER
from homeassistant.components.cover import CoverDeviceClass, CoverState
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.helpers import intent
from homeassistant.helpers.template import Template, TemplateState

from ..home.exposed import exposed_home
from ..tool_calls.targets import DEVICE_CLASS, DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .recognizer import Order, Recognized

STATE = "state"
# By a cover's device class: that of its sensors. Gates have none: they are openings.
SENSORS = {
    CoverDeviceClass.WINDOW: BinarySensorDeviceClass.WINDOW,
    CoverDeviceClass.DOOR: BinarySensorDeviceClass.DOOR,
    CoverDeviceClass.GARAGE: BinarySensorDeviceClass.GARAGE_DOOR,
    CoverDeviceClass.GATE: None,
}
STATES = {CoverState.OPEN: STATE_ON, CoverState.CLOSED: STATE_OFF}
# Home Assistant's name of a response with a number.
COUNT = "how_many"


class Openings:
    """The exposed windows or doors that a question is about."""

    def __init__(self, hass: HomeAssistant, asked: str) -> None:
        """Find the exposed entities. asked: device class of the covers."""
        self.classes = {asked, SENSORS[CoverDeviceClass(asked)]} - {None}
        exposed = exposed_home(hass, conversation.DOMAIN, without=()).things
        of_sensors = [one.device_class for one in exposed if one.domain == BINARY_SENSOR]
        self.has_covers = any(one.domain == COVER and one.device_class == asked for one in exposed)
        self.has_sensors = not self.classes.isdisjoint(of_sensors)
        # These may or may not be of the class in question.
        self.has_unknown = BinarySensorDeviceClass.OPENING in of_sensors

    @classmethod
    def asked_about(cls, hass: HomeAssistant, order: Order) -> Openings | None:
        """Return the openings of a question about covers, None for any other order."""
        asked = order.args.get(DEVICE_CLASS)
        is_question = order.tool == intent.INTENT_GET_STATE and order.args.get(DOMAIN) == COVER
        return cls(hass, asked) if is_question and asked in SENSORS else None

    @property
    def are_covers(self) -> bool:
        """Return whether Home Assistant's own answer covers all of them."""
        return self.has_covers and not (self.has_sensors or self.has_unknown)

    def is_known(self, recognized: Recognized) -> bool:
        """Return whether an answer from covers and sensors would be true.

        A door may be a cover and have a sensor, so their number is unknown.
        """
        is_counted_twice = self.has_covers and recognized.response == COUNT
        return self.has_sensors and not (self.has_unknown or is_counted_twice)


async def async_tell(
    hass: HomeAssistant,
    user_input: conversation.ConversationInput,
    recognized: Recognized,
    openings: Openings,
) -> intent.IntentResponse | None:
    """Return Home Assistant's answer for covers and sensors; None if it may be untrue."""
    order = recognized.order
    language = user_input.language or hass.config.language
    agent = async_get_agent(hass, conversation.HOME_ASSISTANT_AGENT)
    state = order.args.get(STATE)
    if not (openings.is_known(recognized) and state in STATES and isinstance(agent, DefaultAgent)):
        return None
    words = await agent.async_get_or_load_intents(language)
    template = (
        words.intent_responses.get(order.tool, {}).get(recognized.response) if words else None
    )
    if not template:
        return None
    values = {
        **order.args,
        DOMAIN: [COVER, BINARY_SENSOR],
        DEVICE_CLASS: sorted(openings.classes),
        STATE: [state, STATES[CoverState(state)]],
    }
    try:
        response = await intent.async_handle(
            hass,
            conversation.DOMAIN,
            order.tool,
            {name: {"value": value} for name, value in values.items()},
            user_input.text,
            user_input.context,
            language,
            assistant=conversation.DOMAIN,
            device_id=user_input.device_id,
        )
    except intent.IntentError:
        return None
    states = (*response.matched_states, *response.unmatched_states)
    if any(one.state in {STATE_UNAVAILABLE, STATE_UNKNOWN} for one in states):
        return None
    response.async_set_speech(_speech(hass, template, recognized, response))
    return response


def _speech(
    hass: HomeAssistant, template: str, recognized: Recognized, response: intent.IntentResponse
) -> str:
    """Render Home Assistant's response template."""
    query = {"matched": response.matched_states, "unmatched": response.unmatched_states}
    told = {
        "slots": recognized.texts,
        "query": {
            name: [TemplateState(hass, one) for one in states] for name, states in query.items()
        },
    }
    return " ".join(str(Template(template, hass).async_render(told)).split())
