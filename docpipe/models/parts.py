"""How sure each part of an answer is: the tokens' probabilities brought to the atoms, cells and notes they spell.

A part is as sure as its least probable token (soft-capped, not calibrated: it ranks a reading's parts, and says where
to look first).
"""

from __future__ import annotations

import html
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from docpipe.document import PartConfidence
from docpipe.notation.html import place, rows_of_html

MOST = 5000
"""Parts beyond this many are not listed; no page holds so many cells, atoms or notes."""

_ATOM = re.compile(r"\[[^\[\]]*\]|Br|Cl|[BCNOPSFIbcnops*]")
_CELL = re.compile(r"<t[dh]\b[^>]*>(.*?)(?=</?t[dhr]\b|</thead|</tbody|</table|\Z)", re.DOTALL | re.IGNORECASE)
_LINE, _SPINE = re.compile(r"\n|<b>"), re.compile(r"\t|<t>")

Span = tuple[int, int, str, str]
"""From and to in the text, where that is in the reading, and what stands there."""


def parts_of(writes: str, pieces: Sequence[str], logprobs: Sequence[float]) -> tuple[PartConfidence, ...]:
    """The parts of an answer with their confidence (0..1). Never raises.

    writes: the content type of its task; molecules have atoms (numbered as in the canonical SMILES), tables cells (row
    and column from 0), scores notes (line and spine from 0); other contents have no parts here. pieces: the text of
    each token, in order. logprobs: natural logarithms of their probabilities, that of <eos> may follow.
    """
    find = {"molecule": _atoms, "table": _cells, "score": _notes}.get(writes)
    if find is None or not pieces:
        return ()
    made, spelling = [], Spelling(pieces, logprobs)
    for first, last, where, text in find("".join(pieces)):
        made.append(PartConfidence(where=where, text=text, confidence=spelling.least(first, last)))
        if len(made) >= MOST:
            break
    return tuple(made)


class Spelling:
    """Which tokens spell which part of an answer. pieces, logprobs: as in `parts_of`."""

    def __init__(self, pieces: Sequence[str], logprobs: Sequence[float]) -> None:
        self.ends = list(accumulate(len(piece) for piece in pieces))
        self.logprobs = logprobs

    def least(self, first: int, last: int) -> float:
        """The least probability (0..1) of the tokens that spell the characters from `first` up to `last`."""
        start = bisect_right(self.ends, first)
        stop = bisect_left(self.ends, last, start)
        return min(1.0, math.exp(min(self.logprobs[start : stop + 1], default=-math.inf)))


def _atoms(text: str) -> Iterator[Span]:
    start = len(text) - len(text.lstrip())
    smiles = text.split()[0] if text.split() else ""
    found = list(_ATOM.finditer(smiles))
    numbers = _canonical_numbers(smiles, len(found))
    for i, match in enumerate(found):
        yield start + match.start(), start + match.end(), f"atom {numbers[i]}", match[0]


def _canonical_numbers(smiles: str, count: int) -> list[int]:
    """For each atom as written its place in the canonical SMILES; as written where the molecule cannot be read."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or not count or mol.GetNumAtoms() != count:
            return list(range(count))
        Chem.MolToSmiles(mol)
        order = list(mol.GetPropsAsDict(True, True)["_smilesAtomOutputOrder"])
    return [order.index(i) for i in range(count)]


def _cells(text: str) -> Iterator[Span]:
    placed = place(rows_of_html(text))
    found = list(_CELL.finditer(text))
    if len(placed) != len(found):  # cells that are none, or a table within a cell: no way to tell which is which
        return
    for cell, match in zip(placed, found, strict=True):
        if match.end(1) > match.start(1):
            shown = html.unescape(re.sub(r"<[^>]*>", " ", match[1]))
            yield match.start(1), match.end(1), f"row {cell.row}, column {cell.column}", " ".join(shown.split())


def _notes(text: str) -> Iterator[Span]:
    for number, (begin, end) in enumerate(_between(_LINE, text, 0, len(text))):
        for spine, (first, last) in enumerate(_between(_SPINE, text, begin, end)):
            said = text[first:last].strip()
            if said and said[0] not in "*!=.":
                yield first, last, f"line {number}, spine {spine}", said.replace("<s>", " ")


def _between(mark: re.Pattern[str], text: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """From and to of what stands between marks."""
    for found in mark.finditer(text, first, last):
        yield first, found.start()
        first = found.end()
    yield first, last
