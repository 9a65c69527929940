"""TEDS and S-TEDS: how alike two tables are as trees, and as trees without their text.

The measure of Zhong, ShafieiBavani and Jimeno Yepes, "Image-based table recognition: data, model, and evaluation"
(PubTabNet, 2020), section 5: 1 - distance / nodes of the larger tree. Inserting or deleting a node costs 1; renaming
costs 1 where tag, rowspan or colspan differ, else the Levenshtein distance of the two cells' texts over the length of
the longer one (0 in S-TEDS). The distance is that of Zhang and Shasha, "Simple fast algorithms for the editing
distance between trees and related problems" (1989).

Unlike the published script, thead and tbody are transparent, th equals td and tags within a cell are dropped: ground
truths differ in them at random. The root is not counted. What it cannot see: which cells are headers; how a text is
set (bold, superscript); the order of a wrong text's letters beyond their edit distance; boxes. A row too many costs
all its cells, so one wrongly split row in a wide table weighs more than several wrong numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from docpipe.metrics.levenshtein import distance as edits
from docpipe.notation.html import rows_of_html

Costs = npt.NDArray[np.float64]


def teds(answer: str, truth: str) -> float:
    """Similarity of two HTML tables, 0..1: structure and text. 0 when either has no cell."""
    return _similarity(answer, truth, texts=True)


def s_teds(answer: str, truth: str) -> float:
    """Similarity of the structure alone of two HTML tables, 0..1. 0 when either has no cell."""
    return _similarity(answer, truth, texts=False)


@dataclass(frozen=True)
class Tree:
    """An ordered tree in postorder: each node's label, and the first leaf below it (itself for a leaf)."""

    labels: tuple[tuple[str, str], ...]
    first: tuple[int, ...]

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def keyroots(self) -> list[int]:
        """The highest node of each leftmost path, ascending."""
        return sorted({first: node for node, first in enumerate(self.first)}.values())


def tree_of(html: str) -> Tree | None:
    """The tree of the first table: table, tr, td. A label is (tag and spans, text). None when there is no cell."""
    rows = rows_of_html(html)
    if not rows:
        return None
    labels: list[tuple[str, str]] = []
    first: list[int] = []
    for row in rows:
        start = len(labels)
        for cell in row:
            first.append(len(labels))
            labels.append((f"td {cell.row_span} {cell.column_span}", cell.text))
        first.append(start)
        labels.append(("tr", ""))
    return Tree((*labels, ("table", "")), (*first, 0))


def _similarity(answer: str, truth: str, *, texts: bool) -> float:
    a, b = tree_of(answer), tree_of(truth)
    if a is None or b is None:
        return 0.0
    nodes = max(a.size, b.size) - 1
    return max(0.0, 1.0 - tree_distance(a, b, rename_costs(a.labels, b.labels, texts=texts)) / nodes)


def rename_costs(a: Sequence[tuple[str, str]], b: Sequence[tuple[str, str]], *, texts: bool) -> Costs:
    """What it costs to rename each label of `a` into each of `b`, 0..1, as an array of len(a) x len(b)."""
    tags: dict[str, int] = {}
    code = [np.array([tags.setdefault(tag, len(tags)) for tag, _ in labels]) for labels in (a, b)]
    costs: Costs = (code[0][:, None] != code[1][None, :]).astype(np.float64)
    if not texts:
        return costs
    kinds: dict[str, int] = {}
    said = [np.array([kinds.setdefault(text, len(kinds)) for _, text in labels]) for labels in (a, b)]
    same = np.flatnonzero((costs == 0).ravel() & (said[0][:, None] != said[1][None, :]).ravel())
    words = list(kinds)
    known: dict[tuple[int, int], float] = {}
    for place in same.tolist():
        i, j = divmod(place, len(b))
        pair = int(said[0][i]), int(said[1][j])
        if pair not in known:
            one, other = words[pair[0]], words[pair[1]]
            known[pair] = edits(one, other) / max(len(one), len(other))
        costs[i, j] = known[pair]
    return costs


def tree_distance(a: Tree, b: Tree, costs: Costs) -> float:
    """The least cost of turning one ordered tree into another; deleting or inserting a node costs 1.

    costs: of renaming each node of `a` into each of `b`, at most 1 each. Zhang and Shasha's recursion; a leaf against
    a whole subtree has a closed form (all but its best match is inserted), so only inner roots take the recursion.
    """
    distance = np.zeros((a.size, b.size))
    for i in (n for n in range(a.size) if a.first[n] == n):
        distance[i] = [j - b.first[j] + costs[i, b.first[j] : j + 1].min() for j in range(b.size)]
    for j in (n for n in range(b.size) if b.first[n] == n):
        distance[:, j] = [i - a.first[i] + costs[a.first[i] : i + 1, j].min() for i in range(a.size)]
    for m in (k for k in a.keyroots if a.first[k] != k):
        for n in (k for k in b.keyroots if b.first[k] != k):
            _forests(a, b, (m, n), costs, distance)
    return float(distance[-1, -1])


def _forests(a: Tree, b: Tree, roots: tuple[int, int], costs: Costs, distance: Costs) -> None:
    """Fill in the distances of all subtrees on the leftmost paths of two key roots, a row at a time."""
    m, n = roots
    top, left = a.first[m], b.first[n]
    width = n - left + 1
    steps = np.arange(width + 1, dtype=np.float64)
    starts = np.array(b.first[left : n + 1])
    leftmost = starts == left
    before = starts - left  # how many nodes stand left of each subtree
    forest = np.empty((m - top + 2, width + 1))
    forest[0] = steps
    for i in range(top, m + 1):
        row = i - top + 1
        path = a.first[i] == top
        cut = forest[a.first[i] - top]
        step = cut[before] + distance[i, left : n + 1]
        if path:
            step = np.where(leftmost, forest[row - 1, :-1] + costs[i, left : n + 1], step)
        best = np.empty(width + 1)
        best[0] = row
        best[1:] = np.minimum(forest[row - 1, 1:] + 1.0, step)
        # Inserting runs along the row: the least of any earlier place and the steps from it.
        forest[row] = np.minimum.accumulate(best - steps) + steps
        if path:
            distance[i, left : n + 1][leftmost] = forest[row, 1:][leftmost]
