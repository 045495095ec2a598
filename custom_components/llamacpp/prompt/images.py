"""Images of a turn, for multimodal models."""

import base64
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_IMAGE_BYTES = 20 * 1024 * 1024

# Signatures by type; `.` matches any byte.
_SIGNATURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    # The size of the file, then four reserved bytes.
    "image/bmp": re.compile(rb"BM....\0\0\0\0", re.DOTALL),
}


class AttachmentError(Exception):
    """An attachment that the model cannot get; `key` is the translation key of the reason."""

    def __init__(self, key: str, path: Path) -> None:
        """Initialize with the reason; the message has the file's name."""
        super().__init__(f"{key}: {path.name}")
        self.key = key
        self.placeholders = {"file": path.name}


def image_url(path: Path) -> str:
    """Return an image as a `data:` URL. Reads the file: not for the event loop.

    Its first bytes decide its type. Raises AttachmentError if it is no image, too large, or
    unreadable.
    """
    try:
        if not path.is_file():
            # Reading a device or a pipe may never end.
            raise AttachmentError("attachment_unreadable", path)
        with path.open("rb") as file:
            content = file.read(MAX_IMAGE_BYTES + 1)
    except OSError as err:
        raise AttachmentError("attachment_unreadable", path) from err
    if len(content) > MAX_IMAGE_BYTES:
        raise AttachmentError("attachment_too_large", path)
    mime_type = next((one for one, begin in _SIGNATURES.items() if begin.match(content)), None)
    if mime_type is None:
        raise AttachmentError("attachment_no_image", path)
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
