"""Labels of a drawn molecule: letters to atoms and groups, with what the chemist's shorthand leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from docpipe.box import Box
from docpipe.notation.groups import GROUPS

ELEMENTS = ("Br", "Cl", "Si", "Se", "Na", "Li", "C", "N", "O", "S", "P", "F", "I", "B", "K")

_ATOM = re.compile(
    rf"(?P<before>H(?P<nb>\d?))?(?P<symbol>{'|'.join(ELEMENTS)})(?P<after>H(?P<na>\d?))?(?P<charge>\d?[+-])?"
)
_PLAIN = str.maketrans("−–—⁺⁻⊕⊖₀₁₂₃₄₅₆₇₈₉", "---+-+-0123456789")
_MISREAD = (("0", "O"), ("CI", "Cl"), ("C1", "Cl"), ("C|", "Cl"), ("8r", "Br"), ("5", "S"), ("Q", "O"), ("ZH", "NH"))
_GROUPS = {
    form: (number, at_right)
    for number, group in enumerate(GROUPS)
    for pair in group.labels
    for at_right, form in enumerate(pair)
}


@dataclass(frozen=True)
class Label:
    """Letters that stand together. size: of the type, in points. pieces: boxes of the letters where they are outlines,
    from the left.
    """

    text: str
    box: Box
    size: float
    pieces: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Atom:
    """What a label stands for. hydrogens: as written, None where the label says nothing of them. group: number of a
    group (notation.groups), whose attached atom this is.
    """

    symbol: str
    charge: int = 0
    hydrogens: int | None = None
    group: int | None = None


def atom_of(text: str) -> Atom | None:
    """The atom or group that a label names; None where it names none, or one that may be anything (R, X, Ar)."""
    plain = "".join(text.split()).translate(_PLAIN)
    if len(plain) == 1:  # nobody writes an aromatic atom so
        plain = "I" if plain in "1l" else plain.upper()
    for wrong, right in (("", ""), *_MISREAD):
        found = _exactly(plain.replace(wrong, right) if wrong else plain)
        if found is not None:
            return found
    return None


def _exactly(text: str) -> Atom | None:
    if text in ("H", "D", "2H"):
        return Atom("H" if text == "H" else "D")
    if text == "Me":
        return Atom("C", hydrogens=3)
    match = _ATOM.fullmatch(text)
    if match is not None and not (match["before"] and match["after"]):
        many = match["nb"] if match["before"] else match["na"]
        hydrogens = int(many or 1) if match["before"] or match["after"] else None
        sign = match["charge"] or ""
        charge = int(sign[:-1] or 1) * (1 if sign.endswith("+") else -1) if sign else 0
        return Atom(match["symbol"], charge, hydrogens)
    if text in _GROUPS:
        return Atom("*", group=_GROUPS[text][0])
    return None


def put_together(pieces: Iterable[Label]) -> list[Label]:
    """Words and signs that make one label: side by side, with indices and charges, or an H above or below its atom."""
    left = sorted(pieces, key=lambda p: (p.box.x0, p.box.y0))
    rows: list[list[Label]] = []
    for piece in left:
        row = next((r for r in rows if any(_beside(p, piece) for p in r)), None)
        if row is None:
            rows.append([piece])
        else:
            row.append(piece)
    return _stacked([_one(row) for row in rows])


def _one(row: Sequence[Label]) -> Label:
    b = [p.box for p in row]
    around = Box(min(x.x0 for x in b), min(x.y0 for x in b), max(x.x1 for x in b), max(x.y1 for x in b))
    return Label("".join(p.text for p in row), around, max(p.size for p in row), tuple(b))


def _beside(a: Label, b: Label) -> bool:
    size = max(a.size, b.size)
    apart = max(a.box.x0, b.box.x0) - min(a.box.x1, b.box.x1)
    overlap = min(a.box.y1, b.box.y1) - max(a.box.y0, b.box.y0)
    low, high = sorted((a.box.height, b.box.height))
    least = 0.15 if low < 0.85 * high else 0.5  # an index hangs below its letter; letters stand on one line
    return apart < 0.3 * size and overlap > least * low


def _stacked(labels: Sequence[Label]) -> list[Label]:
    kept = list(labels)
    for hydrogen in [one for one in labels if re.fullmatch(r"H\d?", one.text)]:
        for other in kept:
            if other is hydrogen or not re.fullmatch(r"N|O|S|P|B|C|NH?\+?", other.text):
                continue
            beside = min(hydrogen.box.x1, other.box.x1) - max(hydrogen.box.x0, other.box.x0)
            apart = max(hydrogen.box.y0, other.box.y0) - min(hydrogen.box.y1, other.box.y1)
            if beside > 0 and apart < 0.6 * other.size:
                kept = [one for one in kept if one is not other and one is not hydrogen]
                kept.append(Label(_with(other.text, hydrogen.text), other.box, other.size))
                break
    return kept


def _with(atom: str, hydrogen: str) -> str:
    """ "N+" and "H" as "NH+"."""
    match = re.match(r"([A-Z][a-z]?)(.*)", atom)
    assert match is not None, "an atom's label begins with its symbol"
    return f"{match[1]}{hydrogen}{match[2]}"
