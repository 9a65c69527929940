"""Where the tables of a born-digital page are: grids of rulings, rows between rules, rows of aligned short pieces.

Only the places; what stands in which cell is the table engines' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import pairwise

from docpipe.document import Box
from docpipe.engines.blocks import CAPTION, Block
from docpipe.engines.fragments import Fragment, parted
from docpipe.engines.graphics import Cluster, Graphics

CELL_LETTERS = 45
"""A piece of text with more letters than this is prose, not the line of a cell."""

_FIGURE = re.compile(r"^[(\[]?[-+−–±~<>≤≥$€£¥]?\s?\d[\d.,:/ %‰*†‡–−-]*[)\]]?%?$|^[-–—−*xX✓✔●○n/aN.A]{1,4}$")


def find_tables(blocks: Sequence[Block], texts: Sequence[Fragment], drawn: Graphics, body: float) -> list[Box]:
    """The tables' boxes, none within another. blocks: the page's text as paragraphs; texts: their pieces."""
    music = [c.box.grown(3 * body) for c in drawn.clusters if _is_music(c, drawn, texts)]
    texts = [t for t in texts if not any(_within(box, t.box) for box in music)]
    blocks = [b for b in blocks if not any(_within(box, b.box) for box in music)]
    boxes = _grids(drawn, texts)
    boxes += [box for box in _between_rules(drawn, texts, body) if not _known(box, boxes)]
    loose = [b for b in blocks if not any(_within(box, b.box) for box in boxes)]
    boxes += [box for box in _aligned(loose, body) if not _known(box, boxes)]
    return _merged([_with_rows(_with_stub(box, loose, body), loose, body) for box in boxes], texts)


def _is_music(cluster: Cluster, drawn: Graphics, texts: Sequence[Fragment]) -> bool:
    """Whether a cluster with five even lines is music: the even rows of a table have words between their lines."""
    if not cluster.staves:
        return False
    near = cluster.box.grown(1.0)
    levels = sorted({round(r.center[1], 1) for r in drawn.horizontal if _within(near, r)})
    words = [t for t in texts if _within(near, t.box) and sum(c.isalnum() for c in t.text) >= 2]
    gaps = [(a, b) for a, b in pairwise(levels) if 4.0 < b - a < 16.0]
    filled = sum(any(a < t.box.center[1] < b and t.box.height < 1.15 * (b - a) for t in words) for a, b in gaps)
    return filled < max(3, 0.5 * len(gaps))


def _with_stub(box: Box, loose: Sequence[Block], body: float) -> Box:
    """A table stretched over short lines level with its rows on its left: labels that stand outside its rulings."""
    stub = [
        f.box
        for block in loose
        for f in block.fragments
        if 0 <= box.x0 - f.box.x1 < 3 * body and box.y0 <= f.box.center[1] <= box.y1 and f.letters <= CELL_LETTERS
    ]
    tall = sum(f.height for f in stub)
    return reduce(Box.union, stub, box) if len(stub) >= 3 and tall > 0.35 * box.height else box


def _known(box: Box, boxes: Sequence[Box]) -> bool:
    return any(box.intersection(other) > 0.2 * min(box.area, other.area) for other in boxes)


def _within(box: Box, inner: Box) -> bool:
    x, y = inner.center
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


def rows_of(texts: Sequence[Fragment]) -> list[list[Fragment]]:
    """Pieces of text by line, top to bottom, each left to right."""
    rows: list[list[Fragment]] = []
    for text in sorted(texts, key=lambda t: t.box.center[1]):
        if rows and text.box.center[1] < rows[-1][0].box.y1 - 0.2 * text.size:
            rows[-1].append(text)
        else:
            rows.append([text])
    return [sorted(row, key=lambda t: t.box.x0) for row in rows]


def _grids(drawn: Graphics, texts: Sequence[Fragment]) -> list[Box]:
    """Clusters of rulings or of filled cells that cross into rows and columns, with text in them."""
    boxes = []
    for cluster in drawn.clusters:
        box = cluster.box
        if (
            cluster.images
            or _is_music(cluster, drawn, texts)
            or cluster.rulings + cluster.filled < 5
            or cluster.slanted + cluster.curved > 4
        ):
            continue
        near = box.grown(1.0)
        flat = _long((round(r.y0 / 3), r.width) for r in drawn.horizontal if _within(near, r))
        tall = _long((round(r.x0 / 3), r.height) for r in drawn.vertical if _within(near, r))
        flat, tall = [w for w in flat if w > 0.3 * box.width], [h for h in tall if h > 0.3 * box.height]
        inside = [t for t in texts if _within(box, t.box)]
        crossed = len(flat) >= 2 and len(tall) >= 2 and len(flat) + len(tall) >= 5
        columns = max((len(row) for row in rows_of(inside)), default=0)
        shaded = cluster.filled >= 4 and columns >= 2 and len(inside) >= 6 and len(tall) < 2
        if (crossed and len(inside) >= 4 and (columns >= 2 or len(tall) >= 3)) or (shaded and _cells_mostly(inside)):
            boxes.append(box)
    return boxes


def _long(rulings: Iterable[tuple[int, float]]) -> list[float]:
    """The length of each ruled line, its parts (given by place and length, often one for each cell) put together."""
    lengths: dict[int, float] = {}
    for place, length in rulings:
        lengths[place] = lengths.get(place, 0.0) + length
    return list(lengths.values())


def _cells_mostly(texts: Sequence[Fragment]) -> bool:
    return sum(t.letters > CELL_LETTERS for t in texts) <= 0.15 * len(texts)


def _between_rules(drawn: Graphics, texts: Sequence[Fragment], body: float) -> list[Box]:
    """Rows of cells between two or more rules of one width (as booktabs draws them)."""
    music = [c.box for c in drawn.clusters if _is_music(c, drawn, texts)]
    rules = [r for r in drawn.horizontal if r.width > 8 * body and not any(_within(m, r) for m in music)]
    texts = [cell for text in texts for cell in parted(text)]
    boxes: list[Box] = []
    used: set[int] = set()
    for i, top in enumerate(sorted(rules, key=lambda r: r.y0)):
        if i in used:
            continue
        same = [r for r in rules if abs(r.x0 - top.x0) < 3 and abs(r.x1 - top.x1) < 3 and r.y0 >= top.y0]
        for foot in sorted(same, key=lambda r: -r.y0):
            box = Box(top.x0, top.y0, top.x1, foot.y1)
            inside = [t for t in texts if _within(box, t.box)]
            if len(inside) < 4 or any(box.covers(known, 0.8) or known.covers(box, 0.5) for known in boxes):
                continue
            rows = rows_of(inside)
            several = sum(len(row) > 1 for row in rows)
            if (
                len(rows) > 1
                and several >= 0.55 * len(rows)
                and _cells_mostly(inside)
                and len(_gutters(rows, body)) > 0
            ):
                boxes.append(box)
                break
    return boxes


def _aligned(blocks: Sequence[Block], body: float) -> list[Box]:
    """Rows of short pieces, one below the other, whose blanks run down through them."""
    cells: list[Fragment] = []
    prose: list[Box] = []
    for block in blocks:
        lines = len(block.fragments)
        if block.letters > CELL_LETTERS * lines or (lines > 2 and block.letters > 28 * lines) or _captions(block):
            prose.append(block.box)
        else:
            cells += block.fragments
    boxes = []
    for group in _row_groups(cells, prose, body):
        while group and len(group[0]) < 2:
            del group[0]
        while group and len(group[-1]) < 2:
            del group[-1]
        if not _is_table(group, body):
            continue
        box = group[0][0].box
        for row in group:
            for cell in row:
                box = box.union(cell.box)
        boxes.append(box)
    return boxes


def _captions(block: Block) -> bool:
    return bool(CAPTION.match(block.text)) and block.letters > 12


def _row_groups(cells: Sequence[Fragment], prose: Sequence[Box], body: float) -> list[list[list[Fragment]]]:
    """Rows of cells that lie under one another, cut at prose and at wide blanks on either way."""
    pieces: list[list[Fragment]] = []
    for row in rows_of(cells):
        piece = [row[0]]
        for cell in row[1:]:
            blank = Box(piece[-1].box.x1, cell.box.y0, max(cell.box.x0, piece[-1].box.x1 + 0.1), cell.box.y1)
            if blank.width > 18 * body or any(blank.intersection(p) > 0 for p in prose):
                pieces.append(piece)
                piece = []
            piece.append(cell)
        pieces.append(piece)
    groups: list[list[list[Fragment]]] = []
    for piece in sorted(pieces, key=lambda p: p[0].box.y0):
        for group in groups:
            last = group[-1]
            left, right = min(c.box.x0 for r in group for c in r), max(c.box.x1 for r in group for c in r)
            gap = piece[0].box.y0 - max(c.box.y1 for c in last)
            between = Box(left, max(c.box.y1 for c in last), right, piece[0].box.y0)
            overlaps = min(right, piece[-1].box.x1) - max(left, piece[0].box.x0) > 0
            if overlaps and gap < 1.6 * body and not any(between.intersection(p) > 0 for p in prose):
                group.append(piece)
                break
        else:
            groups.append([piece])
    return groups


def _gutters(rows: Sequence[Sequence[Fragment]], body: float) -> list[tuple[float, float]]:
    """Blank widths that run down through nearly all rows; a header that spans columns may cross them."""
    edges = sorted({round(c.box.x1, 1) for row in rows for c in row})
    gutters = []
    for left in edges:
        rights = [c.box.x0 for row in rows for c in row if c.box.x0 > left]
        if not rights:
            continue
        right = min(rights)
        crossed = sum(any(c.box.x0 < left - 0.5 and c.box.x1 > left + 0.5 for c in row) for row in rows)
        if right - left >= 0.55 * body and crossed <= 0.2 * len(rows):
            gutters.append((left, right))
    return [g for n, g in enumerate(gutters) if n + 1 == len(gutters) or gutters[n + 1][0] > g[1] - 0.1]


def _is_table(rows: list[list[Fragment]], body: float) -> bool:
    if len(rows) < 3:
        return False
    cells = [c for row in rows for c in row]
    columns = len(_gutters(rows, body)) + 1
    filled = sum(len(row) >= 2 for row in rows) / len(rows)
    numbers = sum(bool(_FIGURE.match(c.text.strip())) for c in cells) / len(cells)
    if numbers < 0.2 and sum(len(c.words) for c in cells) > 3 * len(cells):
        return False  # narrow columns of prose
    if columns >= 3:
        return filled > 0.5 and len(cells) >= 8 and (sum(len(row) >= 3 for row in rows) >= 3 or numbers > 0.3)
    return columns == 2 and filled > 0.7 and numbers > 0.3 and len(rows) >= 4


def _with_rows(box: Box, loose: Sequence[Block], body: float) -> Box:
    """A table stretched over the rows of cells right below it: not every table ends with its last ruling."""
    lines = [f for b in loose for f in b.fragments if f.letters <= CELL_LETTERS and not _captions(b)]
    within = [f for f in lines if box.x0 - body < f.box.x0 and f.box.x1 < box.x1 + body and f.box.center[1] > box.y1]
    for row in rows_of(within):
        if len(row) < 2 or row[0].box.y0 - box.y1 > 0.8 * body:
            break
        box = reduce(Box.union, (f.box for f in row), box)
    return box


def _merged(boxes: list[Box], texts: Sequence[Fragment]) -> list[Box]:
    """Boxes stretched over the cells they cut through, and joined where they overlap."""
    grown = []
    for box in boxes:
        for text in texts:
            if _within(box, text.box):
                box = box.union(text.box)
        grown.append(box)
    joined: list[Box] = []
    for box in sorted(grown, key=lambda b: -b.area):
        for i, other in enumerate(joined):
            if box.intersection(other) > 0.2 * box.area:
                joined[i] = other.union(box)
                break
        else:
            joined.append(box)
    return joined
