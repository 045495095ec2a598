"""Pictures that a turn carries, for a model that sees."""

import base64
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MAX_IMAGE_BYTES = 20 * 1024 * 1024

# By type, how such files begin; any byte may stand for a dot.
_SIGNATURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
    # The size of the file, then four bytes that are reserved.
    "image/bmp": re.compile(rb"BM....\0\0\0\0", re.DOTALL),
}


class AttachmentError(Exception):
    """A file that cannot be shown to the model; `key` is the translations' name of the reason."""

    def __init__(self, key: str, path: Path) -> None:
        """Keep the reason, and the name of the file for the message."""
        super().__init__(f"{key}: {path.name}")
        self.key = key
        self.placeholders = {"file": path.name}


def image_url(path: Path) -> str:
    """Return a picture as a `data:` URL. Reads the file: not for the event loop.

    Its type is what its first bytes say. Raises AttachmentError for what is no picture, too large,
    or not to be read.
    """
    try:
        if not path.is_file():
            # Reading from a device or a pipe may never end.
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
