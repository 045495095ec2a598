"""Models derived from another one: with fewer layers or random weights, but the same tokens.

A model with fewer layers is much faster, for counting tokens only. What an agent with random
weights gets right is not the merit of a model.
"""

import re
from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEVIATION = 0.02
BLOCK = re.compile(r"blk\.(\d+)\.")


def write_cut_model(path: Path, source: Path, n_layers: int, *, max_tensors: int = 0) -> None:
    """Write a copy of a GGUF file with only its first layers.

    Tokenizer, chat template and all other settings are those of the source. max_tensors: of each
    file of a split model, with names like `-00001-of-00003.gguf`; 0: one file, `path`.
    """
    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields[gguf.Keys.General.ARCHITECTURE].contents())
    block_count = gguf.Keys.LLM.BLOCK_COUNT.format(arch=architecture)
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=max_tensors)
    _copy_fields(reader, writer, {block_count: n_layers})
    for tensor in reader.tensors:
        block = BLOCK.match(tensor.name)
        if block is None or int(block[1]) < n_layers:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    _write(writer)


def write_random_model(path: Path, source: Path, *, seed: int = 1) -> None:
    """Write a copy of a GGUF file whose weights are random.

    Matrices are drawn as before training: normal, with a deviation of 0.02. Vectors, such as
    norms, are copied.
    """
    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields[gguf.Keys.General.ARCHITECTURE].contents())
    writer = gguf.GGUFWriter(path, architecture)
    _copy_fields(reader, writer, {})
    random = np.random.default_rng(seed)
    for tensor in reader.tensors:
        shape = tuple(int(size) for size in reversed(tensor.shape))
        if len(shape) == 1:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            drawn = random.normal(0.0, DEVIATION, shape).astype(np.float16)
            writer.add_tensor(tensor.name, drawn)
    _write(writer)


def _copy_fields(
    reader: gguf.GGUFReader, writer: gguf.GGUFWriter, changes: Mapping[str, object]
) -> None:
    """Copy tokenizer, chat template and all other settings. changes: new values by name."""
    for field in reader.fields.values():
        # The writer adds these by itself.
        if field.name == gguf.Keys.General.ARCHITECTURE or field.name.startswith("GGUF."):
            continue
        value = changes.get(field.name, field.contents())
        sub_type = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, field.types[0], sub_type)


def _write(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
