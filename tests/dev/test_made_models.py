"""Models derived from another one: fewer layers, random weights."""

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import gguf
import pytest

from dev.llama import LlamaServer
from dev.made_models import write_cut_model, write_random_model

if TYPE_CHECKING:
    from pathlib import Path


def test_only_layers_are_gone(model: Path, tmp_path: Path) -> None:
    """Tokenizer, template, settings and the first layers stay, byte for byte."""
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


def test_only_weights_are_random(model: Path, tmp_path: Path) -> None:
    """Tokenizer, template, settings and shapes stay; the same seed gives the same weights."""
    cut, path, again, other = (tmp_path / f"{name}.gguf" for name in ("cut", "a", "b", "c"))
    write_cut_model(cut, model, 1)
    write_random_model(path, cut)
    write_random_model(again, cut)
    write_random_model(other, cut, seed=2)
    before, after = gguf.GGUFReader(cut), gguf.GGUFReader(path)
    assert all(
        field.contents() == after.fields[name].contents()
        for name, field in before.fields.items()
        if not name.startswith("GGUF.")
    )
    old, new = ({one.name: one for one in reader.tensors} for reader in (before, after))
    assert old.keys() == new.keys()
    for name, tensor in new.items():
        assert list(tensor.shape) == list(old[name].shape)
        is_vector = len(tensor.shape) == 1
        assert (tensor.data.tobytes() == old[name].data.tobytes()) is is_vector
    assert path.read_bytes() == again.read_bytes() != other.read_bytes()


@pytest.mark.usefixtures("socket_enabled")
async def test_a_random_model_answers(model: Path, tmp_path: Path) -> None:
    """A real llama-server loads it, and its answer is not the trained model's."""
    cut, random = tmp_path / "cut.gguf", tmp_path / "random.gguf"
    write_cut_model(cut, model, 2)
    write_random_model(random, cut)
    said = []
    for path in (cut, random):
        server = LlamaServer(tmp_path / f"{path.stem}.log", "--ctx-size", "256", model=path)
        server.start()
        try:
            await asyncio.to_thread(server.wait_ready)
            async with aiohttp.ClientSession() as session:
                body = {"prompt": "One two three", "n_predict": 8, "temperature": 0}
                async with session.post(f"{server.base_url}/completion", json=body) as answer:
                    said.append((await answer.json())["content"])
        finally:
            server.stop()
    assert said[0] != said[1]
