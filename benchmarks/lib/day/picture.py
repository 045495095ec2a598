"""The picture of the day: the tokens of every ask that were processed while a user waited."""

import math
from html import escape
from typing import TYPE_CHECKING

from .measures import total

if TYPE_CHECKING:
    from .measures import DayCase
    from .play import Taken

LABELS = 200
PANEL = 290
GAP = 24
ROW = 15
TOP = 66
BOTTOM = 56
MARGIN = 12
BAR = 9
# Each step of the scale is ten times the one before.
STEPS = (1, 10, 100, 1_000, 10_000)
LEGEND = (
    "Each row is an ask; grey is what is new in it, which no server can process ahead. "
    "The scale is logarithmic."
)
# Colours with contrast to white and to black; words and lines follow the reader's theme.
STYLE = """\
text{font:12px system-ui,sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}
.head{font-size:14px;font-weight:600}.line{stroke:#d0d7de}.back{fill:#ffffff}
.core{fill:#d1742f}.ours{fill:#2f81f7}.new{fill:#8b949e}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9da7b3}.line{stroke:#30363d}
.back{fill:#0d1117}}"""


def picture(case: DayCase) -> str:
    """Return the picture as SVG: core on the left, ours on the right, a row for each ask."""
    height = TOP + ROW * len(case.ours.asks) + BOTTOM
    width = MARGIN + LABELS + 2 * PANEL + GAP + MARGIN
    title = "Prompt tokens processed while a user waits, in a day"
    sides = (
        ("core", "core llama_cpp", case.core.asks, MARGIN + LABELS),
        ("ours", "this integration", case.ours.asks, MARGIN + LABELS + PANEL + GAP),
    )
    size = f'viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        f'<rect class="back" width="{width}" height="{height}" rx="6"/>',
        f'<text class="head" x="{MARGIN}" y="22">{escape(title)}</text>',
    ]
    for kind, name, asks, left in sides:
        parts += _panel(kind, f"{name}: {total(asks):,}", left, height)
        for number, ask in enumerate(asks):
            parts += _row(kind, ask, left, TOP + ROW * number)
    for number, ask in enumerate(case.ours.asks):
        y = TOP + ROW * number + BAR
        parts.append(f'<text class="small" x="{MARGIN}" y="{y}">{escape(ask.name)}</text>')
    parts.append(f'<text class="small" x="{MARGIN}" y="{height - 14}">{LEGEND}</text>')
    return "\n".join([*parts, "</svg>\n"])


def length(tokens: int) -> float:
    """Return the length of the bar for this number of tokens."""
    steps = len(STEPS) - 1
    return PANEL * min(1.0, math.log10(max(1, tokens)) / steps)


def _panel(kind: str, heading: str, left: int, height: int) -> list[str]:
    parts = [f'<text class="head" x="{left}" y="44">{escape(heading)}</text>']
    for step in STEPS:
        x = round(left + length(step), 1)
        anchor = "start" if step == STEPS[0] else "end" if step == STEPS[-1] else "middle"
        bottom = height - BOTTOM + 4
        parts.append(f'<line class="line" x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{bottom}"/>')
        parts.append(
            f'<text class="small" x="{x}" y="{bottom + 14}" text-anchor="{anchor}">{step:,}</text>'
        )
    parts.append(f'<rect class="{kind}" x="{left + PANEL - 10}" y="34" width="10" height="10"/>')
    return parts


def _row(kind: str, ask: Taken, left: int, y: int) -> list[str]:
    """Return the bars of an ask, with a tooltip."""
    what = escape(f"{ask.name}: {ask.processed:,} tokens, {ask.new:,} of them new")
    whole, new = (round(length(one), 1) for one in (ask.processed, min(ask.new, ask.processed)))
    place = f'x="{left}" y="{y}" height="{BAR}"'
    return [
        f'<rect class="{kind}" {place} width="{whole}"><title>{what}</title></rect>',
        f'<rect class="new" {place} width="{new}"/>',
    ]
