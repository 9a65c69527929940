"""Lines to blocks: which pieces of text stand under one another, and where among them a new paragraph begins."""

from __future__ import annotations

import re
import statistics as numbers
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from docpipe.document import Box
from docpipe.engines.fragments import LEADERS, Fragment

SAME_SIZE = 1.18
"""Sizes within this ratio count as one: a line of capitals or with an inline formula is no new paragraph."""

DASH = re.compile(r"^[-–—*·−]\s")
NUMBERED = re.compile(r"^(\(?(\d{1,3}|[a-zA-Z]|[ivx]{1,5}|[IVX]{1,5})[.)]|\[\d{1,3}\]|\(\w{1,3}\))\s")
CAPTION = re.compile(
    r"^(supplementary\s+|extended data\s+)?(fig(ure|ura|\.)?|abb(ildung|\.)|table|tab(elle|leau|la|\.)?|scheme|chart"
    r"|graph|plate|exhibit|diagram|map|listing|algorithm|box|(?=[图表図]))(\b|[图表図])\s*\.?\s*([A-Z]{0,2}[\d\-–.]*\d[a-z]?|[IVXLC]+|(?-i:[A-Z]))\b"
    r"(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """Pieces of text that belong together, top to bottom."""

    fragments: tuple[Fragment, ...]

    @cached_property
    def box(self) -> Box:
        box = self.fragments[0].box
        for fragment in self.fragments[1:]:
            box = box.union(fragment.box)
        return box

    @cached_property
    def text(self) -> str:
        return " ".join(fragment.text for fragment in self.fragments)

    @cached_property
    def letters(self) -> int:
        return sum(fragment.letters for fragment in self.fragments)

    @cached_property
    def size(self) -> float:
        """The size most of its letters are set in, in points."""
        return max(self.fragments, key=lambda f: f.letters).size

    @cached_property
    def drawn(self) -> int:
        return min(fragment.drawn for fragment in self.fragments)

    def share(self, style: str) -> float:
        """The share of its letters in lines wholly bold, italic or monospace, 0..1."""
        return sum(f.letters for f in self.fragments if getattr(f, style)) / max(1, self.letters)

    @cached_property
    def maths(self) -> float:
        return sum(f.letters * f.maths for f in self.fragments) / max(1, self.letters)


def blocks(pieces: Sequence[Fragment], barriers: Sequence[Box] = ()) -> list[Block]:
    """Pieces of text as paragraphs (headings, list items, captions … among them), in no particular order.

    barriers: rulings across the text, and boxes of figures and tables, which no paragraph crosses.
    """
    return [Block(tuple(part)) for chain in _chains(pieces, barriers) for part in _paragraphs(chain)]


def _chains(pieces: Sequence[Fragment], barriers: Sequence[Box]) -> list[list[Fragment]]:
    """Pieces that stand under one another with nothing beside them: each has one neighbour above and one below."""
    order = sorted(range(len(pieces)), key=lambda i: (pieces[i].box.y0, pieces[i].box.x0))
    below: dict[int, list[int]] = {}
    above: dict[int, list[int]] = {}
    for position, i in enumerate(order):
        a = pieces[i]
        row: list[int] = []
        for j in order[position + 1 :]:
            b = pieces[j]
            middle = b.box.center[1]
            if b.box.y0 > a.box.y1 + max(a.size, b.size) or (row and middle > pieces[row[0]].box.y1):
                break
            if middle > a.box.y1 and min(a.box.x1, b.box.x1) - max(a.box.x0, b.box.x0) > 0:
                row.append(j)
        for j in row:
            below.setdefault(i, []).append(j)
            above.setdefault(j, []).append(i)
    chains: list[list[Fragment]] = []
    place: dict[int, list[Fragment]] = {}
    for i in order:
        up = above.get(i, [])
        if len(up) == 1 and len(below[up[0]]) == 1 and _continues(pieces[up[0]], pieces[i], barriers):
            place[i] = place[up[0]]
            place[i].append(pieces[i])
        else:
            place[i] = [pieces[i]]
            chains.append(place[i])
    return chains


def _continues(a: Fragment, b: Fragment, barriers: Sequence[Box]) -> bool:
    if max(a.size, b.size) > SAME_SIZE * min(a.size, b.size) and min(a.letters, b.letters) > 3:
        return False
    top, bottom = (a.box.y0 + a.box.y1) / 2, (b.box.y0 + b.box.y1) / 2
    left, right = max(a.box.x0, b.box.x0), min(a.box.x1, b.box.x1)
    # An underline is a ruling too, but no longer than what it underlines.
    underlined = a.box.x1 - a.box.x0 + a.size
    return not any(
        top < (z.y0 + z.y1) / 2 < bottom and z.x0 < right and z.x1 > left and z.width > underlined for z in barriers
    )


def _paragraphs(lines: list[Fragment]) -> list[list[Fragment]]:
    """A column of lines cut where a paragraph begins: by leading, style, indent, marker, a line left short."""
    if len(lines) == 1:
        return [lines]
    steps = [_leading(a, b) for a, b in pairwise(lines)]
    usual = numbers.median_low(steps)
    left, right = min(f.box.x0 for f in lines), max(f.box.x1 for f in lines)
    hanging = _hanging(lines, left)
    ragged = sum(_left_short(a, b, right) for a, b in pairwise(lines)) > 0.6 * (len(lines) - 1)
    parts = [[lines[0]]]
    for a, b, step in zip(lines, lines[1:], steps, strict=False):
        size = min(a.size, b.size)
        begins = (
            bool(LEADERS.search(a.text))
            or step > 1.28 * usual + 0.5
            or step > 2.4 * size
            or max(a.size, b.size) > SAME_SIZE * size
            or (a.bold != b.bold and min(a.letters, b.letters) > 2 and not CAPTION.match(parts[-1][0].text))
            or (a.monospace != b.monospace and (abs(a.box.x0 - b.box.x0) > 0.4 * size or step > 1.1 * usual))
            or _run_in_italic(parts[-1], b, right)
            or _numbered_head(parts[-1], b, right)
            or _outdented(parts[-1], b)
            or _marked(b, lines)
            or bool((m := CAPTION.match(b.text)) and m["rest"].lstrip()[:1] in {":", ".", "|", "–", "—"})
            or _indented(parts[-1], b, left, hanging)
            or (not ragged and not b.monospace and _left_short(a, b, right) and _ends(a.text))
        )
        if begins:
            parts.append([b])
        else:
            parts[-1].append(b)
    return parts


def _leading(a: Fragment, b: Fragment) -> float:
    """From the foot of one line to the foot of the next: feet vary less than tops."""
    return b.box.y1 - a.box.y1


def _hanging(lines: list[Fragment], left: float) -> bool:
    """Whether entries begin to the left of their further lines, as in a bibliography."""
    indented = [f for f in lines if f.box.x0 > left + 0.7 * f.size]
    outdented = [f for f in lines if f.box.x0 <= left + 0.3 * f.size]
    return len(indented) > 1 and len(indented) >= 0.5 * len(lines) and len(outdented) > 1


def _indented(paragraph: list[Fragment], line: Fragment, left: float, hanging: bool) -> bool:
    if hanging:
        return line.box.x0 <= left + 0.3 * line.size < paragraph[-1].box.x0 - 0.3 * line.size
    indent = line.box.x0 - paragraph[-1].box.x0
    if line.monospace:
        return False  # code is indented within
    centred = abs(line.box.center[0] - paragraph[-1].box.center[0]) < 0.4 * line.size
    if centred or not 0.7 * line.size < indent < 4.5 * line.size:
        return False
    # The second line of a list item or of a hanging entry is indented too.
    first = paragraph[0]
    return not (len(paragraph) == 1 and (first.bulleted or DASH.match(first.text) or NUMBERED.match(first.text)))


def _run_in_italic(paragraph: list[Fragment], line: Fragment, right: float) -> bool:
    """Whether a heading in italics ends above an upright line: one or two lines, the last left short."""
    head = len(paragraph) <= 2 and all(f.italic for f in paragraph)
    return head and not line.italic and _left_short(paragraph[-1], line, right) and line.letters > 3


_NUMBERED_HEAD = re.compile(r"^\d{1,2}(\.\d{1,2}){1,3}\.?\s+[^\W\d_]")


def _numbered_head(paragraph: list[Fragment], line: Fragment, right: float) -> bool:
    """Whether a line with a number such as 3.1, left short and without a full stop, stands above as its heading."""
    head = paragraph[0]
    return (
        len(paragraph) == 1
        and bool(_NUMBERED_HEAD.match(head.text))
        and not head.text.rstrip().endswith((".", ",", ";"))
        and _left_short(head, line, right)
    )


def _outdented(paragraph: list[Fragment], line: Fragment) -> bool:
    """Whether a line stands to the left of the list item before it, and so is none of its lines."""
    first = paragraph[0]
    listed = first.bulleted or bool(NUMBERED.match(first.text))
    return listed and line.box.x0 < first.box.x0 - 0.4 * line.size


def _left_short(a: Fragment, b: Fragment, right: float) -> bool:
    """Whether line `a` was ended on purpose: the first word of the next would well have fitted."""
    word = b.words[0].box
    return a.box.x1 + word.width + 2.5 * a.size < right


def _ends(text: str) -> bool:
    return text.rstrip().endswith((".", "!", "?", ":", ";", "。", "”", '"', ")", "…", "؟"))


def _marked(line: Fragment, lines: Sequence[Fragment]) -> bool:
    """Whether a line begins a list item. A dash or a number counts only when another line has one too."""
    if line.bulleted:
        return True
    return any(p.match(line.text) and sum(bool(p.match(x.text)) for x in lines) > 1 for p in (DASH, NUMBERED))
