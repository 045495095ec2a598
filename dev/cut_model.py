"""A model with fewer layers: the same tokens for a fraction of the work, for counting only."""

import re
from typing import TYPE_CHECKING

import gguf

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = re.compile(r"blk\.(\d+)\.")


def write_cut_model(path: Path, source: Path, n_layers: int, *, max_tensors: int = 0) -> None:
    """Write a copy of a GGUF file that has only its first layers.

    Tokenizer, chat template and all other settings are those of the source. max_tensors: of each
    file, whose name ends in `-00001-of-00003.gguf` and so on then; 0: one file, and that name.
    """
    reader = gguf.GGUFReader(source)
    architecture = str(reader.fields[gguf.Keys.General.ARCHITECTURE].contents())
    block_count = gguf.Keys.LLM.BLOCK_COUNT.format(arch=architecture)
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=max_tensors)
    for field in reader.fields.values():
        # The writer adds these by itself.
        if field.name == gguf.Keys.General.ARCHITECTURE or field.name.startswith("GGUF."):
            continue
        value = n_layers if field.name == block_count else field.contents()
        sub_type = field.types[-1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, value, field.types[0], sub_type)
    for tensor in reader.tensors:
        block = BLOCK.match(tensor.name)
        if block is None or int(block[1]) < n_layers:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
