"""What stands in a made-up table: its shape, its cells and their texts. Nothing yet of pixels."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from docpipe.train.synth import wording
from docpipe.train.synth.tabular.style import Style
from docpipe.train.synth.wording import Values, capital

ROWS = ((0.0, 2), (0.08, 4), (0.25, 6), (0.5, 9), (0.72, 14), (0.9, 22), (1.0, 32))
COLUMNS = ((0.0, 2), (0.2, 3), (0.42, 4), (0.62, 5), (0.82, 7), (0.94, 9), (1.0, 12))
"""Shares of tables with at most so many rows and columns: between those of encyclopaedic and of scientific tables."""

EMPTY = 0.06
"""The share of empty cells; tables with spans are about four in ten."""


@dataclass
class Planned:
    """A cell with its text. kind: "stub" (names its row), "number", "text", "head", "section" (names rows below)."""

    row: int
    column: int
    rows: int = 1
    columns: int = 1
    text: str = ""
    kind: str = "text"


@dataclass
class Plan:
    """A table without looks. head: rows of head cells at the top. kinds: of each column, as Planned.kind.

    parted: rows that a rule stands above, whatever the style draws, because they begin a group.
    """

    rows: int
    columns: int
    head: int
    kinds: list[str]
    cells: list[Planned]
    parted: set[int] = field(default_factory=set)


def drawn(shares: Sequence[tuple[float, int]], rng: random.Random, low: int, high: int) -> int:
    """A count drawn from a distribution given by its quantiles, within bounds."""
    for _ in range(20):
        at = rng.random()
        i = max(1, bisect.bisect_left([s for s, _ in shares], at))
        (a, x), (b, y) = shares[i - 1], shares[i]
        value = round(x + (y - x) * (at - a) / (b - a))
        if low <= value <= high:
            return value
    return min(max(value, low), high)


def random_plan(rng: random.Random, style: Style, rows: tuple[int, int], columns: tuple[int, int]) -> Plan:
    """A table's content for a style. A cell spans only where one can see it: parted by rules, or set in the middle."""
    count, across = drawn(ROWS, rng, *rows), drawn(COLUMNS, rng, *columns)
    script = rng.choices(wording.SCRIPTS, (96, 2, 2))[0] if style.face else "latin"
    head = 0 if rng.random() < 0.07 else 1
    grouped = head == 1 and across >= 3 and count >= 4 and rng.random() < 0.3
    head += grouped
    stubs = 0 if rng.random() < 0.06 else 1
    wordy = rng.random() < 0.16
    kinds = ["stub"] * stubs
    makers: list[Values] = [lambda: wording.label(rng, script)] * stubs
    same = wording.numeric(rng) if rng.random() < 0.3 else None
    for _ in range(across - stubs):
        if rng.random() < (0.5 if wordy else 0.14):
            kinds.append("text")
            long = wordy and rng.random() < 0.4
            makers.append((lambda: wording.sentence(rng, 4, 16, script)) if long else wording.textual(rng, script))
        else:
            kinds.append("number")
            makers.append(same or wording.numeric(rng))
    plan = Plan(count, across, head, kinds, [])
    taken: set[tuple[int, int]] = set()
    if head:
        _head(plan, rng, style, script, taken, grouped)
    _sections(plan, rng, style, script, taken)
    _row_groups(plan, rng, style, script, taken)
    empty = rng.choice((0.0, 0.0, EMPTY, EMPTY, 0.25))
    dash = wording.blank(rng) if rng.random() < 0.4 else ""
    for r in range(head, count):
        for c in range(across):
            if (r, c) in taken:
                continue
            text = dash if c and rng.random() < empty else makers[c]()
            plan.cells.append(Planned(r, c, text=text, kind=kinds[c]))
    _wide_cells(plan, rng, style)
    if not any(c.text for c in plan.cells if c.row == count - 1):
        next(c for c in plan.cells if c.row == count - 1).text = wording.label(rng, script)
    return plan


def _add(plan: Plan, taken: set[tuple[int, int]], cell: Planned) -> None:
    plan.cells.append(cell)
    taken.update(
        (r, c) for r in range(cell.row, cell.row + cell.rows) for c in range(cell.column, cell.column + cell.columns)
    )


def _title(rng: random.Random, script: str) -> str:
    kind = rng.random()
    if kind < 0.15:
        return str(rng.randint(1950, 2030))
    if kind < 0.3:
        return f"{capital(wording.word(rng, script))} ({wording.unit(rng)})"
    if kind < 0.38:
        return f"{capital(wording.word(rng, script))} (n = {rng.randint(3, 900)})"
    if kind < 0.44:
        return wording.unit(rng)
    return capital(wording.words(rng, 1, rng.choice((1, 1, 2, 3, 4)), script))


def _head(
    plan: Plan, rng: random.Random, style: Style, script: str, taken: set[tuple[int, int]], grouped: bool
) -> None:
    """Head cells; in a head of two rows, groups above and their columns below."""
    corner = rng.random() < 0.75
    if not grouped:
        for c in range(plan.columns):
            text = "" if c == 0 and plan.kinds[0] == "stub" and not corner else _title(rng, script)
            _add(plan, taken, Planned(0, c, text=text, kind="head"))
        return
    column = 0
    repeated = [_title(rng, script) for _ in range(4)] if rng.random() < 0.4 else None
    most = rng.choice((2, 2, 3, 4))
    while column < plan.columns:
        left = plan.columns - column
        width = min(left, rng.randint(2, most)) if column or plan.kinds[0] != "stub" else 1
        alone = width == 1 or (column and left > 2 and rng.random() < 0.15)
        if alone:
            text = _title(rng, script) if column or corner else ""
            # Without rules only a text between the two lines shows that its cell takes both.
            if style.ruled_down or (text and rng.random() < 0.4):
                _add(plan, taken, Planned(0, column, 2, 1, text, "head"))
            else:
                upper = rng.random() < 0.4
                _add(plan, taken, Planned(0, column, text=text if upper else "", kind="head"))
                _add(plan, taken, Planned(1, column, text="" if upper else text, kind="head"))
            column += 1
            continue
        _add(plan, taken, Planned(0, column, 1, width, _title(rng, script), "head"))
        for i in range(width):
            text = repeated[i] if repeated else _title(rng, script)
            _add(plan, taken, Planned(1, column + i, text=text, kind="head"))
        column += width


def _sections(plan: Plan, rng: random.Random, style: Style, script: str, taken: set[tuple[int, int]]) -> None:
    """Rows that name those below them: one wide cell where its place shows that, else a stub with nothing beside."""
    body = plan.rows - plan.head
    if body < 4 or plan.columns < 2 or plan.kinds[0] != "stub" or rng.random() > 0.2:
        return
    wide = style.ruled_down and rng.random() < 0.75
    ruled = not style.ruled_down and rng.random() < 0.3
    row = plan.head + (0 if rng.random() < 0.7 else rng.randint(1, 2))
    while row < plan.rows - 1:
        text = wording.label(rng, script)
        if ruled:
            plan.parted.add(row)
        if wide:
            _add(plan, taken, Planned(row, 0, 1, plan.columns, text, "section"))
        else:
            _add(plan, taken, Planned(row, 0, text=text, kind="section"))
            for c in range(1, plan.columns):
                _add(plan, taken, Planned(row, c, kind=plan.kinds[c]))
        row += rng.randint(2, 6)


def _row_groups(plan: Plan, rng: random.Random, style: Style, script: str, taken: set[tuple[int, int]]) -> None:
    """First cells over several rows where rules show it; else a text in the first of the rows, or in their middle."""
    body = plan.rows - plan.head
    if body < 4 or plan.columns < 3 or plan.kinds[0] != "stub" or rng.random() > 0.14:
        return
    plan.kinds[1] = "text"
    ruled = style.across != "all" and rng.random() < 0.5
    shown = ruled or (style.ruled_down and style.across == "all")
    row = plan.head
    while row < plan.rows:
        height = min(plan.rows - row, rng.randint(1, 5))
        free = [r for r in range(row, row + height) if (r, 0) not in taken]
        if len(free) < height:
            row += 1
            continue
        text = wording.label(rng, script)
        if ruled:
            plan.parted.add(row)
        if shown:
            _add(plan, taken, Planned(row, 0, height, 1, text, "stub"))
        else:
            for i in range(height):
                _add(plan, taken, Planned(row + i, 0, text=text if i == 0 else "", kind="stub"))
        row += height


def _wide_cells(plan: Plan, rng: random.Random, style: Style) -> None:
    """Now and then neighbours in a body row become one cell, where rules show it."""
    if not style.ruled_down or rng.random() > 0.12:
        return
    for _ in range(rng.randint(1, 2)):
        cell = rng.choice(plan.cells)
        beside = [
            other
            for other in plan.cells
            if other.row == cell.row and other.column == cell.column + cell.columns and other.rows == cell.rows == 1
        ]
        if cell.kind in ("head", "section") or not beside:
            continue
        plan.cells.remove(beside[0])
        cell.columns += beside[0].columns
        cell.text = cell.text or beside[0].text
