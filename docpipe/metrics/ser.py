"""Error rates of **kern: by character, by symbol and by line.

As reported for GrandStaff (Ríos-Vila et al., End-to-end optical music recognition for pianoform sheet music, IJDAR
2023; Sheet Music Transformer, ICDAR 2024). Line ends are made equal, blanks at line ends and blank lines at the ends
are cut; nothing else is normalised, so a beam or stem that is written otherwise costs what a wrong pitch costs. None
of the three hears music: two spellings of one score differ, and a wrong duration that spoils a measure is one symbol.
"""

from __future__ import annotations

import re

from docpipe.metrics.levenshtein import Edits, edits, error_rate


def _lines(kern: str) -> list[str]:
    lines = [line.rstrip(" ") for line in re.split(r"\r\n|\r|\n", kern)]
    filled = [i for i, line in enumerate(lines) if line.strip()]
    return lines[filled[0] : filled[-1] + 1] if filled else []


def _symbols(kern: str) -> list[str]:
    """Tokens and chord notes, with every tab and line end a symbol of its own."""
    return re.findall(r"[^ \t\n]+|\t|\n", "\n".join(_lines(kern)))


def ser(answer: str, truth: str) -> float:
    """Symbol error rate: edits per symbol of the truth; a symbol is a blank-free token, a tab or a line end."""
    return error_rate(_symbols(answer), _symbols(truth))


def kern_cer(answer: str, truth: str) -> float:
    """Character error rate of **kern: edits per character of the truth, tabs, blanks and line ends included."""
    return error_rate("\n".join(_lines(answer)), "\n".join(_lines(truth)))


def ler(answer: str, truth: str) -> float:
    """Line error rate: edits per line of the truth; one wrong symbol makes its line wrong."""
    return error_rate(_lines(answer), _lines(truth))


def symbol_edits(answer: str, truth: str) -> Edits:
    """What one score adds to the `ser` of a corpus."""
    return edits(_symbols(answer), _symbols(truth))


def kern_character_edits(answer: str, truth: str) -> Edits:
    """What one score adds to the `kern_cer` of a corpus."""
    return edits("\n".join(_lines(answer)), "\n".join(_lines(truth)))


def line_edits(answer: str, truth: str) -> Edits:
    """What one score adds to the `ler` of a corpus."""
    return edits(_lines(answer), _lines(truth))
