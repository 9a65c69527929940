"""Displayed formulas: the pieces of one drawn here and there (limits, fractions, its number) put together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from docpipe.engines.blocks import Block

EQUATION_NUMBER = re.compile(r"\(\s*[A-Z]?\d{1,3}([.\-]\d{1,3})?[a-z]?\s*\)$")
_PROSE_WORD = re.compile(r"[^\W\d_]{4,}")
_RELATIONS = frozenset("=<>≤≥→∑∫∏√±≈∈≡+∼∝^/")


def is_formula(block: Block) -> bool:
    """Displayed mathematics: mostly signs and letters of mathematical fonts, hardly a word of prose."""
    if block.letters < 3 or not _wordless(block):
        return False
    numbered = bool(EQUATION_NUMBER.search(block.text))
    return block.maths > (0.25 if numbered else 0.4) and not _RELATIONS.isdisjoint(block.text)


def _wordless(block: Block) -> bool:
    words = [word.text for fragment in block.fragments for word in fragment.words]
    return sum(bool(_PROSE_WORD.search(word)) for word in words) <= 0.25 * len(words) + 1


def _is_part(block: Block) -> bool:
    """Whether a block may be a piece of a formula: short, and mathematical or hardly more than a sign."""
    return block.letters < 90 and _wordless(block) and (block.maths > 0.3 or block.letters <= 3)


def gather_formulas(blocks: Sequence[Block]) -> list[Block]:
    """Blocks with the pieces of each formula made one, in the order they are drawn, its number at the end."""
    parts = [b for b in blocks if _is_part(b)]
    groups: list[list[Block]] = []
    for part in parts:
        reach = part.box.grown(0.55 * part.size)
        touching = [g for g in groups if any(reach.intersection(b.box) > 0 for b in g)]
        groups = [g for g in groups if g not in touching]
        groups.append([part, *(b for g in touching for b in g)])
    numbers = [b for b in blocks if EQUATION_NUMBER.fullmatch(b.text.strip())]
    gathered: list[Block] = []
    gone: set[int] = set()
    for group in groups:
        whole = _whole(group)
        if not is_formula(whole) or len(whole.fragments) > 40:
            continue
        beside = [n for n in numbers if n not in group and whole.box.y0 <= n.box.center[1] <= whole.box.y1]
        nearest = min(beside, key=lambda n: abs(n.box.x0 - whole.box.x1), default=None)
        members = [*group, nearest] if nearest else group
        gone |= {id(block) for block in members}
        gathered.append(Block((*whole.fragments, *(nearest.fragments if nearest else ()))))
    return [b for b in blocks if id(b) not in gone] + gathered


def _whole(group: Sequence[Block]) -> Block:
    return Block(tuple(sorted((f for b in group for f in b.fragments), key=lambda f: (f.drawn, f.box.x0))))
