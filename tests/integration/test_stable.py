"""Under the names by which `commands/test_prefix.py` imports them."""

from .speakers import ANSWER, ask_as, n_common, satellites, tokens_of, with_timers
from .speakers import until_change_prefilled as settled

__all__ = ["ANSWER", "ask_as", "n_common", "satellites", "settled", "tokens_of", "with_timers"]
