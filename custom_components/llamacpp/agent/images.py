"""Pictures that a turn carries, for a model that sees."""

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_IMAGE_BYTES = 20 * 1024 * 1024


class AttachmentError(Exception):
    """A file that cannot be shown to the model; `key` is the translations' name of the reason."""

    def __init__(self, key: str, path: Path) -> None:
        """Keep the reason, and the name of the file for the message."""
        super().__init__(f"{key}: {path.name}")
        self.key = key
        self.placeholders = {"file": path.name}


def image_url(path: Path, mime_type: str) -> str:
    """Return a picture as a `data:` URL. Reads the file: not for the event loop.

    Raises AttachmentError for what is no picture, too large, or not to be read.
    """
    if not mime_type.startswith("image/"):
        raise AttachmentError("attachment_no_image", path)
    try:
        if path.stat().st_size > MAX_IMAGE_BYTES:
            raise AttachmentError("attachment_too_large", path)
        content = path.read_bytes()
    except OSError as err:
        raise AttachmentError("attachment_unreadable", path) from err
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
