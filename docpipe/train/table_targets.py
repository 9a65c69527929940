"""Tables as PubTabNet and FinTabNet store them, written as the paper's target: HTML whose cells say where they are."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import Any

from docpipe.document import Box
from docpipe.notation.tokens import write_box

Frame = Callable[[Sequence[float]], Box]

_TAGS = re.compile(r"</?(?:b|i|sup|sub|strike|overline|underline)>")


def padded_frame(width: float, height: float) -> Box:
    """The white square that an image of this size is put in the middle of."""
    half, x, y = max(width, height) / 2, width / 2, height / 2
    return Box(x - half, y - half, x + half, y + half)


def html_of(structure: Sequence[str], cells: Sequence[dict[str, Any]], frame: Box | None, place: Frame) -> str:
    """The table as HTML. structure: tokens of tags, `<td`, ` colspan="2"` and `>` apart. cells: in their order, each
    {"tokens": characters and tags of style, "bbox": four numbers or missing where it is empty}.

    Cells that hold something get `coords` (PaliGemma 2, arXiv 2412.03555, appendix B: x first) within `frame`, the
    square that the model sees; none without a frame. place: from a stored bbox to a box in the frame's units. Raises
    ValueError when there are fewer cells than the structure has places.
    """
    made, number = [], 0
    for token in structure:
        opens = token in ("<td>", "<td", "<th>", "<th")
        if opens:
            if number >= len(cells):
                raise ValueError(f"{len(cells)} cells are too few for its structure")
            coords = _coords(cells[number], frame, place)
            made.append(token.rstrip(">") + coords + (">" if token.endswith(">") else ""))
        elif token in ("</td>", "</th>"):
            made.append(_text(cells[number]) + token)
            number += 1
        else:
            made.append(token)
    return f"<table>{''.join(made)}</table>"


def _coords(cell: dict[str, Any], frame: Box | None, place: Frame) -> str:
    box = cell.get("bbox")
    if frame is None or not box or not _text(cell).strip():
        return ""
    return f' coords="{write_box(place(box), frame, "xy")}"'


def _text(cell: dict[str, Any]) -> str:
    """The cell's characters without tags of style, as HTML."""
    kept = "".join(t for t in cell.get("tokens", ()) if not _TAGS.fullmatch(t))
    return html.escape(html.unescape(kept), quote=False)
