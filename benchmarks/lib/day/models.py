"""The models that the day is played with."""

import os
from dataclasses import dataclass
from pathlib import Path

from dev.made_models import write_cut_model

TEMPLATES = Path(__file__).parent


class ModelMissingError(Exception):
    """A model that is not on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model. variable: of the environment, tells its file. layers: so many are left, None: all.

    The tokens are the same with fewer layers, and counted many times faster; times do not tell
    anything then.
    """

    variable: str
    template: Path
    layers: int | None = None

    @property
    def is_whole(self) -> bool:
        """Tell whether it has all of its layers."""
        return self.layers is None

    def file(self, folder: Path) -> Path:
        """Return its file, made in this folder if need be; raises ModelMissingError."""
        path = os.environ.get(self.variable)
        if not path:
            raise ModelMissingError(f"{self.variable} is not set: the model could not be had")
        if self.layers is None:
            return Path(path)
        cut = folder / f"{Path(path).stem}-{self.layers}-layers.gguf"
        if not cut.exists():
            write_cut_model(cut, Path(path), self.layers)
        return cut


CHATML = TEMPLATES / "chatml_tools.jinja"
GEMMA = TEMPLATES / "gemma_tools.jinja"
# Of Gemma's layers, five see a window that slides, then one sees everything.
MODELS = {
    "cut": Model("LLAMACPP_MODEL", CHATML, layers=4),
    "full": Model("LLAMACPP_MODEL", CHATML),
    "gemma-cut": Model("LLAMACPP_GEMMA", GEMMA, layers=6),
    "gemma": Model("LLAMACPP_GEMMA", GEMMA),
}
