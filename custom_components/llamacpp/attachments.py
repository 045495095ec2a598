"""Attachments of an action's message: media of Home Assistant, or a camera's current image."""

import mimetypes
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import probatio
from homeassistant.components.conversation import Attachment
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv

from .const import DOMAIN

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence

    from homeassistant.components import camera, image
    from homeassistant.core import HomeAssistant

    type Snapshot = Callable[[HomeAssistant, str], Coroutine[Any, Any, camera.Image | image.Image]]

MAX_ATTACHMENTS: Final = 8
_ID: Final = "media_content_id"
_TYPE: Final = "media_content_type"

# Format of a media selector, without its fields that we do not need.
ATTACHMENTS: Final = probatio.All(
    cv.ensure_list,
    probatio.Length(max=MAX_ATTACHMENTS),
    [
        probatio.Schema(
            {probatio.Required(_ID): cv.string, probatio.Optional(_TYPE): cv.string},
            extra=probatio.REMOVE_EXTRA,
        )
    ],
)


@asynccontextmanager
async def attached(
    hass: HomeAssistant, wanted: Sequence[Mapping[str, str]]
) -> AsyncGenerator[list[Attachment]]:
    """Yield the attachments as files; remove files of camera and image snapshots afterwards.

    wanted: as validated by `ATTACHMENTS`. Raises HomeAssistantError for unavailable media.
    """
    taken: list[Path] = []
    try:
        yield [await _resolved(hass, one, taken) for one in wanted]
    finally:
        await hass.async_add_executor_job(_remove, taken)


async def _resolved(
    hass: HomeAssistant, wanted: Mapping[str, str], taken: list[Path]
) -> Attachment:
    key, placeholders = "attachment_not_local", {"media": wanted[_ID]}
    cause: Exception | None = None
    try:
        if attachment := await _resolve(hass, wanted, taken):
            return attachment
    except HomeAssistantError as err:
        key, cause = "attachment_unavailable", err
        placeholders["message"] = str(err)
    except AssertionError as err:
        # Home Assistant's media of its own folders: it asserts that a file name has a known suffix.
        key, cause = "attachment_no_type", err
    raise HomeAssistantError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    ) from cause


async def _resolve(
    hass: HomeAssistant, wanted: Mapping[str, str], taken: list[Path]
) -> Attachment | None:
    """Return the attachment, None if the media is not a file on this machine."""
    # Home Assistant's AI tasks have already imported them. At the top they would slow down every
    # start, and without libturbojpeg the import of the camera logs an error.
    from homeassistant.components import camera, image, media_source  # noqa: PLC0415

    media_content_id = wanted[_ID]
    snapshots: Mapping[str, Snapshot] = {
        "media-source://camera/": camera.async_get_image,
        "media-source://image/": image.async_get_image,
    }
    for prefix, take in snapshots.items():
        if media_content_id.startswith(prefix):
            picture = await take(hass, media_content_id.removeprefix(prefix))
            path = await hass.async_add_executor_job(_save, picture)
            taken.append(path)
            return Attachment(media_content_id, picture.content_type, path)
    media = await media_source.async_resolve_media(hass, media_content_id, None)
    if media.path is None:
        return None
    return Attachment(media_content_id, wanted.get(_TYPE) or media.mime_type, media.path)


def _save(picture: camera.Image | image.Image) -> Path:
    suffix = mimetypes.guess_extension(picture.content_type, strict=False)
    with tempfile.NamedTemporaryFile(suffix=suffix, delete=False) as file:
        file.write(picture.content)
        return Path(file.name)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
