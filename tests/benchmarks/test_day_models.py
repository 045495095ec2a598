"""Models made for the benchmark `day`."""

from typing import TYPE_CHECKING

import gguf
import pytest

from benchmarks.lib.day.models import ANSWER, CHATML, MODELS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("name", "architecture"), [("attention-cut", "llama"), ("hybrid-cut", "qwen35")]
)
def test_models_of_a_kind(tmp_path: Path, name: str, architecture: str) -> None:
    """They have the others' template, which leads to their only answer."""
    made = MODELS[name]
    fields = gguf.GGUFReader(made.file(tmp_path)).fields
    assert fields["general.architecture"].contents() == architecture
    template = fields["tokenizer.chat_template"].contents()
    assert template.replace("<|script_0|>", "") == CHATML.read_text()
    assert ANSWER.rpartition(" ")[2] in "".join(fields["tokenizer.ggml.tokens"].contents())
    assert (made.template_file, made.is_whole) == (None, False)
