"""A model with fewer layers."""

from typing import TYPE_CHECKING

import gguf

from dev.cut_model import write_cut_model

if TYPE_CHECKING:
    from pathlib import Path


def test_only_layers_are_gone(model: Path, tmp_path: Path) -> None:
    """Tokenizer, template and settings stay, the first layers too, byte for byte."""
    path = tmp_path / "cut.gguf"
    write_cut_model(path, model, 2)
    before, after = gguf.GGUFReader(model), gguf.GGUFReader(path)
    changed = {
        name
        for name, field in before.fields.items()
        if not name.startswith("GGUF.") and field.contents() != after.fields[name].contents()
    }
    assert changed == {"llama.block_count"}
    assert after.fields["llama.block_count"].contents() == 2
    tensors = {one.name: one for one in before.tensors}
    assert {one.name for one in after.tensors} == {
        name
        for name in tensors
        if not name.startswith("blk.") or name.startswith(("blk.0.", "blk.1."))
    }
    for one in after.tensors:
        assert one.data.tobytes() == tensors[one.name].data.tobytes()
