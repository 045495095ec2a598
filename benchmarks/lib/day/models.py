"""The models of the day."""

import os
from dataclasses import dataclass
from pathlib import Path

from dev.made_models import write_cut_model
from dev.model_kinds import KINDS
from dev.scripted_model import CHOICE, write_scripted_model

TEMPLATES = Path(__file__).parent
ANSWER = "I was not told what to say to this."


class ModelMissingError(Exception):
    """The model is not on this machine; the message has the reason."""


@dataclass(frozen=True, slots=True)
class DayModel:
    """A model. variable: of the environment, with its file. layers: to keep, None: all.

    With fewer layers, the tokens are the same and processed many times faster, but times mean
    nothing. kind: of layers that replace its own; the answer is then always the same.
    """

    variable: str
    template: Path
    layers: int | None = None
    kind: str | None = None

    @property
    def is_whole(self) -> bool:
        """Return whether it has all of its own layers."""
        return self.layers is None and self.kind is None

    @property
    def template_file(self) -> Path | None:
        """Return the template to start the server with, None if the model brings its own."""
        return None if self.kind else self.template

    def file(self, folder: Path) -> Path:
        """Return its file, created in this folder if missing; raises ModelMissingError."""
        path = os.environ.get(self.variable)
        if not path:
            raise ModelMissingError(
                f"{self.variable} is not set: the model could not be downloaded"
            )
        if self.kind:
            return self._made(folder, Path(path), self.kind)
        if self.layers is None:
            return Path(path)
        cut = folder / f"{Path(path).stem}-{self.layers}-layers.gguf"
        if not cut.exists():
            write_cut_model(cut, Path(path), self.layers)
        return cut

    def _made(self, folder: Path, source: Path, kind: str) -> Path:
        """Return a file with layers of a kind, created in this folder if missing."""
        made = folder / f"{kind.replace(' ', '-')}.gguf"
        if not made.exists():
            start = "<|im_start|>assistant\n"
            before, _, after = self.template.read_text().rpartition(start)
            template = f"{before}{start}{CHOICE}{after}"
            write_scripted_model(made, source, {}, ANSWER, template, kind=KINDS[kind])
        return made


CHATML = TEMPLATES / "chatml_tools.jinja"
GEMMA = TEMPLATES / "gemma_tools.jinja"
# Of Gemma's layers, every sixth has full attention, the others a sliding window.
MODELS = {
    "cut": DayModel("LLAMACPP_MODEL", CHATML, layers=4),
    "full": DayModel("LLAMACPP_MODEL", CHATML),
    "attention-cut": DayModel("LLAMACPP_MODEL", CHATML, kind="attention"),
    "hybrid-cut": DayModel("LLAMACPP_MODEL", CHATML, kind="delta net"),
    "gemma-cut": DayModel("LLAMACPP_GEMMA", GEMMA, layers=6),
    "gemma": DayModel("LLAMACPP_GEMMA", GEMMA),
}
