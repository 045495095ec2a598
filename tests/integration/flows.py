"""Configuration flows: each function takes one step and returns the next one."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import SOURCE_HASSIO, SOURCE_RECONFIGURE, SOURCE_USER
from homeassistant.const import CONF_MODEL, CONF_URL
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.service_info.hassio import HassioServiceInfo

from custom_components.llamacpp.const import DOMAIN
from dev.processes import LOOPBACK

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigEntry, ConfigFlowResult, SubentryFlowResult
    from homeassistant.core import HomeAssistant

UUID = "0123456789abcdef" * 2


async def start(hass: HomeAssistant, url: str, **values: Any) -> ConfigFlowResult:
    """Open the form, send it, and return the next step."""
    form = await hass.config_entries.flow.async_init(DOMAIN, context={"source": SOURCE_USER})
    assert form["type"] is FlowResultType.FORM
    assert form["errors"] == {}
    return await hass.config_entries.flow.async_configure(
        form["flow_id"], {CONF_URL: url, **values}
    )


def suggested(step: ConfigFlowResult) -> dict[str, Any]:
    """Return the suggested values of a form."""
    assert step["data_schema"] is not None
    return {
        str(key): key.description["suggested_value"]
        for key in step["data_schema"].schema
        if key.description
    }


def choices(step: ConfigFlowResult | SubentryFlowResult) -> dict[str, str]:
    """Return the models that a form offers, with their labels."""
    assert step["data_schema"] is not None
    fields = {str(key): value for key, value in step["data_schema"].schema.items()}
    return {one["value"]: one["label"] for one in fields[CONF_MODEL].config["options"]}


async def discover(
    hass: HomeAssistant, port: int, *, uuid: str = UUID, **config: Any
) -> ConfigFlowResult:
    """Have the Supervisor announce the app."""
    info = HassioServiceInfo(
        config={"host": LOOPBACK, "port": port, "addon": "House Llama app", **config},
        name="House Llama app",
        slug="local_llamacpp",
        uuid=uuid,
    )
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_HASSIO}, data=info
    )


async def reconfigure(hass: HomeAssistant, entry: ConfigEntry[Any]) -> ConfigFlowResult:
    """Open the form that changes a server."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )


async def reconfigured(
    hass: HomeAssistant, entry: ConfigEntry[Any], **values: Any
) -> ConfigFlowResult:
    """Open the form that changes a server, send it, and return the next step."""
    form = await reconfigure(hass, entry)
    return await hass.config_entries.flow.async_configure(form["flow_id"], values)
