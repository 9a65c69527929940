"""Does a **kern text stand for music? Judged by its structure and rhythm, and by whether music21 can read it."""

from __future__ import annotations

import re
import threading
import warnings
from collections import Counter
from fractions import Fraction

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import Findings, judges
from docpipe.checks.ink import is_blank
from docpipe.checks.kern_marks import check_marks
from docpipe.document import Measure, ScoreContent
from docpipe.notation.kern import Kern, read
from docpipe.notation.rhythm import Bar, Rhythm, rhythm, said

MAX_CHARACTERS = 500_000
MOST_FINDINGS = 40
"""A person acts on the first few; an output gone astray breaks every line."""

_MUSIC21 = threading.Lock()
"""Held while music21's own voice is turned aside."""

_CLEF = re.compile(r"\*clef(?:[GFC](?:v{1,2}|\^{1,2})?[1-5]|X)(?:yy)?")
_CANCELLED = re.compile(r"[a-g]n")
_METER = re.compile(r"\*M(\d+(?:\+\d+)*)/(\d+)")
_SHARPS, _FLATS = "f#c#g#d#a#e#b#", "b-e-a-d-g-c-f-"


@judges(ScoreContent)
def check_score(content: ScoreContent, clipping: Pixels | None = None) -> Checked:
    """Judge **kern and fill in what follows from it.

    Mended, with the original kept: a missing header, missing terminators, blank lines, blanks at line ends. Invalid:
    a line with too many or few spines, tokens that are no **kern, voices that do not add up, measures unlike their
    meter, ties and beams left open, clefs, keys and meters that there are not, and what music21 refuses. A pickup, a
    short last measure, measures that a repeat divides, and ties and slurs over the edges of a system are no errors.
    """
    findings, original = Findings(), content.kern
    if not original.strip():
        findings.error("score.empty", "no **kern was given")
        return Checked(content, findings.verdict())
    if len(original) > MAX_CHARACTERS:
        findings.error("score.too-large", f"{len(original)} characters; at most {MAX_CHARACTERS} are judged")
        return Checked(content, findings.verdict())
    text = _mended(original, findings)
    kern = read(text)
    time = rhythm(kern)
    for problem in (*kern.problems, *time.problems):
        findings.error(f"score.{problem.code}", problem.message, where(problem.line, time))
    if not time.notes:
        findings.error("score.empty", "it holds no notes and no rests")
    clefs, keys, meters = _signatures(kern, time, findings)
    _lengths(kern, time, findings)
    check_marks(kern, time, findings)
    if findings.status != "invalid":
        reason, passed = _music21(text)
        if reason is not None:
            findings.error("score.music21", f"music21 cannot read it: {reason}")
        for message in passed:
            findings.note("score.music21-passed", f"music21 passes over something: {message}")
    if clipping is not None and time.notes and is_blank(clipping.image):
        findings.error("score.blank", "the crop is blank, yet music was read from it")
    if len(findings.found) > MOST_FINDINGS:
        left = len(findings.found) - MOST_FINDINGS
        del findings.found[MOST_FINDINGS:]
        findings.note("score.more", f"{left} more findings of these kinds")
    checked = ScoreContent(
        kern=text,
        spines=kern.spines.count("**kern"),
        clefs=clefs,
        keys=keys,
        meters=meters,
        measures=tuple(
            Measure(number=b.number, first_line=b.first_line, last_line=b.last_line, quarters=float(b.quarters))
            for b in time.bars
        ),
    )
    return Checked(checked, findings.verdict(original if text != original else None))


def where(line: int, time: Rhythm) -> str:
    """A line, 0-based, as a person counts, with the measure it lies in."""
    bar = next((bar for bar in time.bars if bar.first_line <= line <= bar.last_line + 1), None)
    return f"measure {bar.number}, line {line + 1}" if bar else f"line {line + 1}"


def _mended(text: str, findings: Findings) -> str:
    lines = re.split(r"\r\n|\r|\n", text)
    kept = [line.rstrip(" ") for line in lines if line.strip()]
    plain = "\n".join(kept) + ("\n" if text.endswith(("\n", "\r")) else "")
    if plain != text.replace("\r\n", "\n").replace("\r", "\n"):
        findings.repair("score.blanks", "blank lines or blanks at line ends were removed")
    kern = read(plain)
    codes = {problem.code for problem in kern.problems}
    head = next((line for line in kept if not line.startswith("!")), "")
    if "header" in codes and head and not head.startswith("**"):
        columns = head.count("\t") + 1
        plain = "\t".join(["**kern"] * columns) + "\n" + plain
        findings.repair("score.header", f"the header was missing and was taken to be {columns} spine(s) of **kern")
    if "unterminated" in codes and not codes & {"columns", "mixed"}:
        last = next(row for row in reversed(kern.rows) if row.paths)
        plain = plain.rstrip("\n") + "\n" + "\t".join(["*-"] * len(last.after or last.paths)) + "\n"
        findings.repair("score.terminators", "the spines were not ended; *- was added")
    return plain


def _signatures(
    kern: Kern, time: Rhythm, findings: Findings
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Each staff's first clef, and keys and meters in the order in which they come; illegal ones are found."""
    clefs: dict[int, str] = {}
    keys: dict[str, None] = {}
    meters: dict[str, None] = {}
    for row in kern.rows:
        if row.kind != "interpretation":
            continue
        for cell, path in zip(row.cells, row.paths, strict=True):
            if not kern.is_music(path):
                continue
            if cell.startswith("*clef"):
                clefs.setdefault(path.spine, cell[5:])
                if not _CLEF.fullmatch(cell):
                    findings.error("score.clef", f"{cell} is no clef", where(row.line, time))
            elif cell.startswith("*k["):
                keys.setdefault(cell[1:])
                inside = _CANCELLED.sub("", cell[3:].removesuffix("]"))
                if not cell.endswith("]") or not (_SHARPS.startswith(inside) or _FLATS.startswith(inside)):
                    findings.error("score.key", f"{cell} is no key signature in common use", where(row.line, time))
            elif re.match(r"\*M[\d/?]", cell):
                meters.setdefault(cell[2:])
                if cell != "*M?" and meter_length(cell) is None:
                    findings.error("score.meter", f"{cell} is no meter", where(row.line, time))
    staves = sorted({placed.path.spine for placed in time.notes})
    bare = [spine for spine in staves if spine not in clefs]
    if bare:
        findings.note(
            "score.no-clef", f"{len(bare)} of {len(staves)} staves show no clef, so pitches cannot be checked"
        )
    return tuple(clefs[spine] for spine in sorted(clefs)), tuple(keys), tuple(meters)


def meter_length(cell: str) -> Fraction | None:
    """A meter such as *M3/4 or *M2+3/8 in quarter notes; None when it is none."""
    match = _METER.fullmatch(cell)
    if match is None:
        return None
    beats, unit = sum(int(n) for n in match[1].split("+")), int(match[2])
    return Fraction(4 * beats, unit) if beats and unit and unit & (unit - 1) == 0 else None


def _lengths(kern: Kern, time: Rhythm, findings: Findings) -> None:
    """Measures against the meter, or where none is written against the length that most of them have."""
    meters = [
        (row.line, length)
        for row in kern.rows
        if row.kind == "interpretation"
        for length in filter(None, map(meter_length, row.cells))
    ]
    bars = time.bars
    usual = Counter(bar.quarters for bar in bars).most_common(1)
    agreed = usual[0][0] if usual and usual[0][1] >= max(3, 0.6 * len(bars)) else None
    for index, bar in enumerate(bars):
        written = [length for line, length in meters if line <= bar.last_line]
        expected = written[-1] if written else agreed
        if expected is None or bar.quarters == expected or _may_differ(bars, index, expected):
            continue
        why = "the meter has" if written else "most measures have"
        message = f"{said(bar.quarters)} where {why} {expected}"
        findings.error("score.measure-length", message, f"measure {bar.number}, line {bar.first_line + 1}")


def _may_differ(bars: list[Bar], index: int, expected: Fraction) -> bool:
    """Whether a measure may be shorter than its meter: at the edges, or as part of one that a bar line divides."""
    bar = bars[index]
    if bar.quarters > expected:
        return False
    if index in (0, len(bars) - 1):
        return True
    before, after = bars[index - 1], bars[index + 1]
    return any(
        re.search(r"[:|!-]|==", line) and bar.quarters + other.quarters in (expected, 2 * expected)
        for line, other in ((before.bar_line, before), (bar.bar_line, after))
    ) or any(":" in line or line.startswith("==") or "||" in line for line in (before.bar_line, bar.bar_line))


def music21_refusal(text: str) -> str | None:
    """Why music21 cannot read a **kern text; None when it can."""
    return _music21(text)[0]


def _music21(text: str) -> tuple[str | None, list[str]]:
    """Why music21 refuses a text, if it does, and what it passed over. It would print the latter."""
    from music21.humdrum import spineParser

    passed: list[str] = []
    speaker = vars(spineParser.environLocal)
    with _MUSIC21:
        speaker["warn"] = lambda message, *_, **__: passed.append(" ".join(str(message).split())[:200])
        try:
            data = spineParser.HumdrumDataCollection(text)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data.parse()
            found = len(data.stream.flatten().notesAndRests)
        except Exception as error:  # music21 raises whatever it stumbles over
            return " ".join(f"{type(error).__name__}: {error}".split())[:200], passed
        finally:
            del speaker["warn"]
    return (None if found else "it finds no notes and no rests"), passed
