"""Small GGUF files: valid ones, and those that no library would write."""

import struct
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Numbers of the format: types of keys and of tensors.
U32 = 4
STRING = 8
ARRAY = 9
F16 = 1
Q4_0 = 2
UNKNOWN_TYPE = 199


def write(
    path: Path,
    architecture: str = "llama",
    keys: Mapping[str, Any] | None = None,
    *,
    endianess: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE,
) -> Path:
    """Write a whole file with the library; keys of the architecture begin with a dot."""
    writer = gguf.GGUFWriter(path, architecture, endianess=endianess)
    for key, value in (keys or {}).items():
        name = f"{architecture}{key}" if key.startswith(".") else key
        if isinstance(value, str):
            writer.add_string(name, value)
        elif isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_uint32(name, value)
    writer.add_tensor("output.weight", np.zeros((8, 32), dtype=np.float16))
    writer.add_tensor("output_norm.weight", np.zeros(3, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def text(value: str) -> bytes:
    """Return a string in the file's format."""
    return struct.pack("<Q", len(value)) + value.encode()


def tensor(shape: Sequence[int], kind: int, offset: int, name: str = "t") -> bytes:
    """Return the description of a tensor."""
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def key(kind: int, value: bytes, name: str = "x") -> bytes:
    """Return a key with its value."""
    return text(name) + struct.pack("<I", kind) + value


def built(
    path: Path,
    keys: Sequence[bytes] = (),
    tensors: Sequence[bytes] = (),
    data: int = 0,
    version: int = 3,
) -> Path:
    """Write a file by hand; `data`: bytes behind the aligned head."""
    head = struct.pack("<4sIQQ", b"GGUF", version, len(tensors), len(keys))
    head += b"".join(keys) + b"".join(tensors)
    path.write_bytes(head + b"\0" * (-len(head) % 32 + data))
    return path
