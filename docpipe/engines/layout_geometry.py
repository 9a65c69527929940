"""Layout of a born-digital page from its own geometry: lines, fonts, rulings, paths and images. No model, no pixels.

`GeometryLayout` is the first of the layout engines: milliseconds a page. It answers only where the geometry is plain;
`survey` says what it found and what it doubts, and the engines after it build on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from docpipe.document import Box, Kind, Region
from docpipe.engines.blocks import Block, blocks
from docpipe.engines.columns import Run, reading_order
from docpipe.engines.figure_boxes import Figure, find_figures
from docpipe.engines.formulas import gather_formulas
from docpipe.engines.fragments import Fragment, Frame, fragments, is_right_to_left, line_numbers, main_turn
from docpipe.engines.graphics import Graphics, graphics
from docpipe.engines.kinds import (
    Surroundings,
    begins_note,
    heading_level,
    is_numbered,
    is_running,
    kind_of,
    list_levels,
)
from docpipe.engines.statistics import in_margin
from docpipe.engines.table_boxes import find_tables, rows_of
from docpipe.sheet import Sheet


@dataclass(frozen=True)
class Piece:
    """A region to be: its kind, its box (upright), and the block it is made of, when it is text."""

    kind: Kind
    box: Box
    block: Block | None = None
    level: int | None = None


@dataclass(frozen=True)
class Survey:
    """What a page's geometry says: its pieces in reading order, and what is doubtful about them.

    frame: the direction it is read in; the pieces' boxes are upright in it. graphics and figures are upright too.
    """

    frame: Frame
    pieces: tuple[Piece, ...]
    figures: tuple[Figure, ...]
    graphics: Graphics
    doubts: tuple[str, ...] = ()


class GeometryLayout:
    """Regions of a born-digital page without a model; None where `survey` leaves a doubt."""

    name = "geometry"

    def regions(self, sheet: Sheet) -> list[Region] | None:
        found = survey(sheet)
        return None if found.doubts else as_regions(sheet, found.frame, found.pieces)


def as_regions(sheet: Sheet, frame: Frame, pieces: Sequence[Piece]) -> list[Region]:
    """Pieces in reading order as regions of the page as displayed."""
    page = Box(0.0, 0.0, sheet.page.width, sheet.page.height)
    found = []
    for order, piece in enumerate(pieces):
        x0, y0, x1, y1 = frame.displayed(piece.box)
        box = Box(max(x0, page.x0), max(y0, page.y0), min(x1, page.x1), min(y1, page.y1))
        name = f"p{sheet.page.number}.r{order + 1}"
        found.append(Region(id=name, kind=piece.kind, box=box, order=order, level=piece.level))
    return found


def survey(sheet: Sheet) -> Survey:
    """Look at a page's geometry. Pages without text give no text pieces, and the doubt that pixels must tell."""
    source = sheet.source
    lines = source.lines()
    frame = Frame(main_turn(lines), source.width, source.height)
    upright_page = Box(0.0, 0.0, *frame.size)
    seen = graphics(source.drawings(), source.images(), source.box, source.musical_signs())
    drawn = _upright(seen, frame)
    texts, turned = fragments(lines, frame)
    body = body_size(texts, sheet)
    if not texts and not source.musical_signs():
        blank = not drawn.clusters and not drawn.backgrounds
        return Survey(frame, (), (), drawn, () if blank else ("no text layer",))
    rules = [r for r in drawn.horizontal if r.width > 2 * body]
    numbers = line_numbers(texts)
    texts = [t for t in texts if t not in numbers]
    tables = find_tables(blocks(texts, rules), texts, drawn, body)
    figures = find_figures(drawn.clusters, [*texts, *turned], tables, upright_page, body)
    objects = [*tables, *(f.box for f in figures)]
    around = Surroundings(sheet.statistics, sheet.page.number, frame.size, objects, rules, body)
    taken = {id(label) for figure in figures for label in figure.labels}
    taken |= {id(t) for t in texts if any(_holds(box, t) for box in tables)}
    free = [t for t in texts if id(t) not in taken]
    heads, feet, free = _running(free, around)
    found = gather_formulas(blocks(free, [*around.rulings, *around.objects]))
    ordered, runs = _ordered(found, figures, tables, body, is_right_to_left("".join(t.text for t in texts[:200])))
    pieces = [Piece("header", b.box, b) for b in heads]
    pieces += _pieces(ordered, around)
    pieces += [Piece("other", f.box, Block((f,))) for f in turned if id(f) not in taken]
    pieces += [Piece("other", b.box, b) for b in ([Block(tuple(numbers))] if numbers else [])]
    pieces += [Piece("footer", b.box, b) for b in feet]
    doubts = _doubts(texts, turned, free, drawn)
    entangled = sum(len(run.items) for run in runs if run.entangled)
    if entangled > max(3, 0.25 * len(ordered)):
        doubts.append("blocks that overlap")
    return Survey(frame, tuple(pieces), tuple(figures), drawn, tuple(doubts))


def _upright(drawn: Graphics, frame: Frame) -> Graphics:
    if not frame.turn:
        return drawn
    rulings = [frame.upright(box) for box in (*drawn.horizontal, *drawn.vertical)]
    flat = [box for box in rulings if box.width >= box.height]
    tall = [box for box in rulings if box.width < box.height]
    clusters = [replace(c, box=frame.upright(c.box)) for c in drawn.clusters]
    return Graphics(tuple(flat), tuple(tall), tuple(clusters), tuple(frame.upright(b) for b in drawn.backgrounds))


def body_size(texts: Sequence[Fragment], sheet: Sheet) -> float:
    """The document's body size when this page has text of it, else the page's own."""
    body = sheet.statistics.body_size
    total = sum(t.letters for t in texts)
    if body and sum(t.letters for t in texts if abs(t.size - body) < 0.75) > 0.2 * total:
        return body
    sizes: dict[float, int] = {}
    for text in texts:
        sizes[round(text.size * 2) / 2] = sizes.get(round(text.size * 2) / 2, 0) + text.letters
    return max(sizes, key=lambda size: sizes[size], default=body or 10.0) or 10.0


def _holds(box: Box, text: Fragment) -> bool:
    x, y = text.box.center
    return box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1


def _running(texts: list[Fragment], around: Surroundings) -> tuple[list[Block], list[Block], list[Fragment]]:
    """Running heads and feet taken out of the text, as blocks of one line each, left to right."""
    rows = rows_of(texts)
    heads: list[Block] = []
    feet: list[Block] = []
    gone: set[int] = set()
    for inward, found in ((rows, heads), (rows[::-1], feet)):
        outermost = True
        for place, row in enumerate(inward):
            running = [f for f in row if is_running(f, row, outermost, around)]
            if len(row) == 1 and running and _goes_on_inward(row[0], inward[place + 1 :]):
                running = []  # the last word of a footnote, say
            if not running and not in_margin(row[0].box.y0, row[0].box.y1, around.size[1]):
                break
            outermost = outermost and len(running) == len(row)
            running = [f for f in running if id(f) not in gone]
            gone |= {id(f) for f in running}
            found += [Block(tuple(running))] if running else []
    return heads, feet[::-1], [t for t in texts if id(t) not in gone]


def _goes_on_inward(line: Fragment, inward: Sequence[list[Fragment]]) -> bool:
    """Whether a line is one of a paragraph's: set like the line next to it, flush with it, and as near as lines are."""
    near = inward[0] if inward else []
    return any(
        abs(f.box.x0 - line.box.x0) < line.size
        and abs(f.size - line.size) < 0.3
        and max(f.box.y0 - line.box.y1, line.box.y0 - f.box.y1) < 0.5 * line.size
        and f.box.width > 3 * line.box.width
        for f in near
    )


def _ordered(
    found: Sequence[Block], figures: Sequence[Figure], tables: Sequence[Box], body: float, rtl: bool
) -> tuple[list[Block | Piece], list[Run]]:
    """Blocks, figures and tables in reading order."""
    atoms: list[Block | Piece] = [
        *found,
        *(Piece("picture", figure.box) for figure in figures),
        *(Piece("table", box) for box in tables),
    ]
    sequence = [atom.drawn if isinstance(atom, Block) else -1 for atom in atoms]
    runs = reading_order([atom.box for atom in atoms], sequence, gutter=0.8 * body, right_to_left=rtl)
    return [atoms[i] for run in runs for i in run.items], runs


def _pieces(ordered: list[Block | Piece], around: Surroundings) -> list[Piece]:
    """Kinds for the blocks, formulas and code put together again, levels for headings and list items."""
    texts = [atom for atom in ordered if isinstance(atom, Block)]
    place = {id(block): i for i, block in enumerate(texts)}
    pieces: list[Piece] = []
    for atom in ordered:
        if isinstance(atom, Piece):
            pieces.append(atom)
            continue
        i = place[id(atom)]
        previous, following = texts[i - 1] if i else None, texts[i + 1] if i + 1 < len(texts) else None
        kind = kind_of(atom, previous, following, around)
        last = pieces[-1] if pieces else None
        if last and last.block and _goes_on(last, kind, atom):
            whole = Block(last.block.fragments + atom.fragments)
            pieces[-1] = Piece(last.kind, whole.box, whole)
        else:
            pieces.append(Piece(kind, atom.box, atom))
    return finish(pieces, around)


def finish(pieces: list[Piece], around: Surroundings) -> list[Piece]:
    """Pieces with what only their neighbours show: the one title, its bylines, levels of headings and list items."""
    return _levelled(_bylines(_one_title(pieces, around), around), around)


def _one_title(pieces: list[Piece], around: Surroundings) -> list[Piece]:
    """The title is the first of its size on the first page; what else is set so large is a heading."""
    titles = [i for i, piece in enumerate(pieces) if piece.kind == "title"]
    alone = around.number == 1 and len(titles) == 1
    return [Piece("heading", p.box, p.block) if p.kind == "title" and not alone else p for p in pieces]


def _bylines(pieces: list[Piece], around: Surroundings) -> list[Piece]:
    """Names, addresses and dates under a title are no headings, however large they are set."""
    title = next((i for i, piece in enumerate(pieces) if piece.kind == "title"), None)
    if title is None:
        return pieces
    done = list(pieces)
    for i in range(title + 1, len(pieces)):
        block = pieces[i].block
        if block is None or block.letters > 400 or is_numbered(block) or len(block.fragments) > 8:
            break
        head = pieces[title].box
        centred = (
            abs(block.box.center[0] - head.center[0]) < 0.05 * around.size[0]
            or abs(block.box.x0 - head.x0) < 2
            or abs(block.box.x1 - head.x1) < 2
        )
        paired = any(abs(p.box.y0 - block.box.y0) < block.size for p in pieces[title + 1 : i + 2] if p is not pieces[i])
        if not (centred or paired):
            break
        if pieces[i].kind == "heading":
            done[i] = Piece("paragraph", block.box, block)
    return done


def _goes_on(last: Piece, kind: Kind, block: Block) -> bool:
    """Whether a block belongs to the piece before it: the parts of one code, formula, title or footnote."""
    assert last.block is not None
    gap = block.box.y0 - last.box.y1
    if kind == last.kind == "code":
        return -block.size < gap < 2.5 * block.size
    if kind == last.kind == "footnote":
        return -block.size < gap < 0.5 * block.size and not begins_note(block)
    if kind == last.kind == "title":
        return gap < 1.2 * block.size and abs(block.size - last.block.size) < 1
    return False


def _levelled(pieces: list[Piece], around: Surroundings) -> list[Piece]:
    done: list[Piece] = []
    items: list[int] = []
    for piece in [*pieces, None]:
        if items and (piece is None or piece.kind != "list_item"):
            blocks_of = [b for i in items if (b := done[i].block)]
            for i, level in zip(items, list_levels(blocks_of), strict=True):
                done[i] = Piece("list_item", done[i].box, done[i].block, level)
            items = []
        if piece is None:
            break
        if piece.kind == "heading" and piece.block:
            piece = Piece("heading", piece.box, piece.block, heading_level(piece.block, around))
        if piece.kind == "list_item":
            items.append(len(done))
        done.append(piece)
    return done


def _doubts(
    texts: Sequence[Fragment], turned: Sequence[Fragment], free: Sequence[Fragment], drawn: Graphics
) -> list[str]:
    """Why the geometry of a page may mislead; empty when it is plain."""
    doubts = []
    letters = sum(t.letters for t in texts)
    unseen = sum(len(w.text) for t in texts for w in t.words if not w.visible)
    if drawn.backgrounds and unseen > 0.5 * letters:
        doubts.append("a scan with unseen text over it")
    aside = sum(t.letters for t in turned)
    if aside > 0.3 * letters and len(turned) > 5:
        doubts.append("text written in several directions")
    if _aligned(free) > 0.3 * len(free) and len(free) > 10:
        doubts.append("rows of short pieces that may be a table")
    return doubts


def _aligned(texts: Sequence[Fragment]) -> int:
    """How many pieces stand in rows of three or more short ones."""
    rows: dict[int, list[Fragment]] = {}
    for text in texts:
        rows.setdefault(round(text.box.y1 / 3), []).append(text)
    return sum(len(row) for row in rows.values() if len(row) >= 3 and max(t.letters for t in row) < 40)
