"""A scanned system cut into strips, one for each staff and measure, and their readings put together again.

Staves are found by a comb of five lines over the rows' ink, after the line distance was measured by vertical runs
(Fujinaga, Adaptive optical music recognition, 1996, ch. 3); bars as columns of ink from the top line to the bottom
line that go on through the gap between the staves of a system.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from docpipe.models.strips import HEIGHT, LEFT, RIGHT, SPACE, STRETCH, WIDTH, Gray
from docpipe.notation.kern_assembly import to_kern

Ink = npt.NDArray[np.bool_]
Columns = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Staff:
    """Five lines: y of the first and the last one, distance of two of them, and where they begin and end (pixels)."""

    top: float
    bottom: float
    space: float
    left: float
    right: float


@dataclass(frozen=True)
class Cut:
    """A strip [80, 320] and where it was: staff from the top, measure, box (x0, y0, x1, y1) in pixels of the image."""

    pixels: Gray
    staff: int
    measure: int
    box: tuple[float, float, float, float]


ReadStrips = Callable[[Sequence[Gray]], Sequence[Sequence[str]]]
"""A model that reads strips: their tokens, in order."""


def read_system(image: Image.Image, read: ReadStrips) -> str | None:
    """The **kern text of a picture of one system; None where no staff is found in it."""
    cuts = cut_system(image)
    if not cuts:
        return None
    return joined(cuts, read([cut.pixels for cut in cuts]))


def joined(cuts: Sequence[Cut], readings: Sequence[Sequence[str]]) -> str:
    """The **kern text of what was read on the strips of `cut_system`."""
    staves = max(cut.staff for cut in cuts) + 1
    table: list[list[Sequence[str]]] = [[] for _ in range(staves)]
    for cut, tokens in sorted(zip(cuts, readings, strict=True), key=lambda pair: (pair[0].staff, pair[0].measure)):
        table[cut.staff].append(tokens)
    return to_kern(table)


def cut_system(image: Image.Image) -> list[Cut]:
    """The strips of a picture of one system, staff by staff from the top, measure by measure; none without staves."""
    gray, ink = levelled(image)
    staves = find_staves(ink)
    if not staves:
        return []
    shifts = _drift(ink, staves)
    if np.abs(shifts).max() >= 1:
        gray, ink = _shifted(gray, shifts, 255), _shifted(ink, shifts, False)
        staves = find_staves(ink) or staves
    bars = find_bars(ink, staves)
    space = staves[0].space
    left = min(s.left for s in staves)
    right = max(s.right for s in staves)
    edges: list[tuple[float, float]] = [(left - 0.3 * space, left - 0.3 * space), *bars]
    if not bars or right - bars[-1][1] > 4 * space:
        edges.append((right - 0.5 * space, right - 0.5 * space))
    cuts: list[Cut] = []
    for s, staff in enumerate(staves):
        for m, ((_, begin), (_, end)) in enumerate(pairwise(edges)):
            x0 = begin - (LEFT * space if m else 0.0)
            x1 = end + RIGHT * space
            middle = _middle(ink, staff, x0, x1)
            down = SPACE / staff.space
            box = (x0, middle - HEIGHT / 2 / down, x1, middle + HEIGHT / 2 / down)
            across = min(STRETCH, WIDTH / ((x1 - x0) / staff.space))
            wide = max(8, min(WIDTH, round((x1 - x0) / staff.space * across)))
            cuts.append(Cut(strip_of(gray, box, wide), s, m, box))
    return cuts


def levelled(image: Image.Image) -> tuple[Gray, Ink]:
    """A picture's grey levels and its ink, the page's skew undone."""
    gray: Gray = np.asarray(image.convert("L"))
    ink = _ink(gray)
    skew = _skew(ink) if ink.any() else np.zeros(ink.shape[1], np.int64)
    if np.ptp(skew) > 3:
        gray, ink = _shifted(gray, skew, 255), _shifted(ink, skew, False)
    return gray, ink


def _skew(ink: Ink) -> Columns:
    """The shifts of columns that make rows of ink sharpest: the page's skew, up to 0.7 degrees."""
    height, width = ink.shape
    blocks = min(24, width)
    edges = np.linspace(0, width, blocks + 1).astype(int)
    profiles = np.stack([ink[:, a:b].sum(1) for a, b in pairwise(edges)]).astype(float)
    centres = (edges[:-1] + edges[1:]) / 2 - width / 2
    best, slope = -1.0, 0.0
    for tried in sorted(np.linspace(-0.012, 0.012, 25), key=abs):
        moves = np.round(tried * centres).astype(int)
        rows = np.clip(np.arange(height)[None, :] + moves[:, None], 0, height - 1)
        sharp = float((np.take_along_axis(profiles, rows, axis=1).sum(0) ** 2).sum())
        if sharp > 1.01 * best:
            best, slope = sharp, float(tried)
    shifts: Columns = np.round(slope * (np.arange(width) - width / 2)).astype(np.int64)
    return shifts


def _drift(ink: Ink, staves: Sequence[Staff]) -> Columns:
    """How many pixels lower than in `staves` the lines lie in each column: pages are a little skew or warped.

    The best shift of the combs of all staves, window by window, with a price on changes (dynamic programming).
    """
    space = staves[0].space
    width = ink.shape[1]
    window, step = max(8, round(6 * space)), max(4, round(2 * space))
    starts = np.arange(0, max(1, width - window), step)
    sums = np.concatenate([np.zeros((ink.shape[0], 1)), np.cumsum(ink, axis=1)], axis=1)
    means = (sums[:, np.minimum(starts + window, width)] - sums[:, starts]) / window
    reach = round(1.2 * space)
    shifts = np.arange(-reach, reach + 1)
    score = np.zeros((len(starts), len(shifts)))
    for staff in staves:
        for k in range(5):
            rows = np.clip(np.round(staff.top + k * staff.space).astype(int) + shifts, 0, ink.shape[0] - 1)
            score += means[rows].T
    score /= 5 * len(staves)
    price = 0.06 * np.abs(shifts[:, None] - shifts[None, :])
    best = score[0] - 0.002 * np.abs(shifts)
    back = np.zeros(score.shape, int)
    for i in range(1, len(starts)):
        total = best[:, None] - price
        back[i] = total.argmax(0)
        best = total.max(0) + score[i]
    path = [int(best.argmax())]
    for i in range(len(starts) - 1, 0, -1):
        path.append(int(back[i][path[-1]]))
    found = shifts[np.array(path[::-1])].astype(float)
    moved: Columns = np.round(np.interp(np.arange(width), starts + window / 2, found)).astype(np.int64)
    return moved


Pixels = TypeVar("Pixels", Gray, Ink)


def _shifted(image: Pixels, shifts: Columns, blank: int | bool) -> Pixels:
    """The image with each column moved up by its shift."""
    height, width = image.shape
    rows = np.arange(height)[:, None] + shifts[None, :]
    moved: Pixels = image[np.clip(rows, 0, height - 1), np.arange(width)[None, :]]
    moved[(rows < 0) | (rows >= height)] = blank
    return moved


def strip_of(gray: Gray, box: tuple[float, float, float, float], wide: int) -> Gray:
    """The part of a page in a box (pixels; it may reach over the border) as a strip whose ink is `wide` pixels wide."""
    height, width = gray.shape
    x0, y0, x1, y1 = box
    a, b = int(np.floor(x0)) - 1, int(np.floor(y0)) - 1
    c, d = int(np.ceil(x1)) + 1, int(np.ceil(y1)) + 1
    part = np.full((d - b, c - a), 255, np.uint8)
    inner = gray[max(0, b) : max(0, min(height, d)), max(0, a) : max(0, min(width, c))]
    part[max(0, -b) : max(0, -b) + inner.shape[0], max(0, -a) : max(0, -a) + inner.shape[1]] = inner
    resized = Image.fromarray(part).resize((wide, HEIGHT), Image.Resampling.BOX, box=(x0 - a, y0 - b, x1 - a, y1 - b))
    strip = np.full((HEIGHT, WIDTH), 255, np.uint8)
    strip[:, :wide] = np.asarray(resized)
    return strip


def _ink(gray: Gray) -> Ink:
    """Black pixels: darker than halfway between the paper and the darkest tenth."""
    paper, dark = np.percentile(gray, 90), np.percentile(gray, 2)
    return gray < (paper + dark) / 2 if paper - dark > 30 else np.zeros(gray.shape, bool)


def line_distance(ink: Ink) -> float:
    """The distance of two staff lines in pixels: the commonest black run and the white run after it; 0 without ink."""
    padded = np.zeros((ink.shape[0] + 2, ink.shape[1]), np.int8)
    padded[1:-1] = ink
    steps = np.diff(padded.T, axis=1)
    columns, starts = np.nonzero(steps == 1)
    same = columns[1:] == columns[:-1]
    periods = (starts[1:] - starts[:-1])[same]
    periods = periods[(periods >= 4) & (periods <= 80)]
    if len(periods) < 50:
        return 0.0
    counts = np.bincount(periods, minlength=82).astype(float)
    smooth = counts[:-2] + 2 * counts[1:-1] + counts[2:]
    peak = int(smooth.argmax()) + 1
    half = peak // 2
    if half >= 7:  # every second line only: where heads and beams fill the spaces between
        lower = int(smooth[half - 2 : half + 2].argmax()) + half - 1
        if smooth[lower - 1] > 0.25 * smooth[peak - 1]:
            peak = lower
    near = slice(peak - 1, peak + 2)
    return float((np.arange(82)[near] * counts[near]).sum() / counts[near].sum())


def find_staves(ink: Ink) -> list[Staff]:
    """The staves in a picture from the top down."""
    distance = line_distance(ink)
    if not distance:
        return []
    profile = np.convolve(ink.mean(1), np.ones(3), "same")
    found: list[tuple[float, float, float]] = []  # score, top, distance
    for space in np.arange(0.93 * distance, 1.08 * distance, 0.125):
        offsets = np.round(np.arange(5) * space).astype(int)
        rows = len(profile) - offsets[-1]
        if rows <= 0:
            continue
        lines = np.stack([profile[o : o + rows] for o in offsets])
        score = (0.6 * lines.min(0) + 0.4 * lines.mean(0)) * (1 - abs(space - distance) / distance)
        found += [(float(score[y]), float(y), float(space)) for y in np.argsort(-score)[:80]]
    found.sort(reverse=True)
    kept: list[tuple[float, float, float]] = []
    for score, top, space in found:
        if score < max(0.25, 0.45 * (kept[0][0] if kept else score)):
            break
        if kept and abs(space - kept[0][2]) > 0.08 * distance:
            continue
        if all(top > t + 5.5 * s or top + 4 * space < t - 1.5 * s for _, t, s in kept):
            kept.append((score, top, space))
    staves = []
    for _, top, space in sorted(kept, key=lambda k: k[1]):
        ends = _ends(ink, top, space) if _drawn(ink, top, space) else None
        if ends is not None:
            staves.append(Staff(top, top + 4 * space, space, *ends))
    return staves


def _line_columns(ink: Ink, top: float, space: float) -> npt.NDArray[np.float64]:
    """For every column how many of the five lines are there, 0 to 1."""
    reach = max(1, round(0.18 * space))
    rows = [round(top + k * space) for k in range(5)]
    share: npt.NDArray[np.float64] = np.mean([ink[max(0, r - reach) : r + reach + 1].any(0) for r in rows], axis=0)
    return share


def _drawn(ink: Ink, top: float, space: float) -> bool:
    """Whether the rows of a staff hold long thin strokes, as lines do and text does not."""
    shares = []
    least, off = round(1.5 * space), max(2, round(0.4 * space))
    for k in range(5):
        row = round(top + k * space)
        if row < off or row + off >= ink.shape[0]:
            continue
        on = ink[row - 1 : row + 2].any(0)
        thin = on & ~ink[row - off] & ~ink[row + off]
        steps = np.diff(np.concatenate([[0], thin.astype(np.int8), [0]]))
        lengths = np.nonzero(steps == -1)[0] - np.nonzero(steps == 1)[0]
        shares.append(lengths[lengths >= least].sum() / max(1, on.sum()))
    return bool(shares) and float(np.median(shares)) > 0.15


def _ends(ink: Ink, top: float, space: float) -> tuple[float, float] | None:
    """Where the lines of a staff begin and end: the first and last window that is mostly lines."""
    on = (_line_columns(ink, top, space) >= 0.8).astype(float)
    window = max(4, round(4 * space))
    if len(on) < window:
        return None
    share = np.convolve(on, np.ones(window) / window, "valid")
    full = np.nonzero(share > 0.6)[0]
    if not len(full):
        return None
    first = int(full[0] + np.nonzero(on[full[0] :])[0][0])
    last = int(full[-1] + window - 1)
    while last > first and not on[last]:
        last -= 1
    return float(first), float(last)


def find_bars(ink: Ink, staves: Sequence[Staff]) -> list[tuple[float, float]]:
    """The bars of a system from left to right, each from its first stroke to its last (x in pixels).

    The line at the beginning of the system is none.
    """
    near = ink.copy()
    near[:, 1:] |= ink[:, :-1]
    near[:, :-1] |= ink[:, 1:]
    inside = [near[round(s.top) : round(s.bottom) + 1].mean(0) for s in staves]
    gaps = [near[round(a.bottom) + 2 : max(round(a.bottom) + 3, round(b.top) - 2)].mean(0) for a, b in pairwise(staves)]
    through = np.min([*inside, *gaps], axis=0) > 0.82
    whole = near[round(staves[0].top) : round(staves[-1].bottom) + 1].mean(0) > 0.9
    marked = through & whole
    if len(staves) == 1:
        marked &= _free_ends(ink, staves[0]) & _lone(ink, staves[0])
    space = staves[0].space
    groups: list[list[int]] = []
    for x in np.nonzero(marked)[0].tolist():
        if groups and x - groups[-1][-1] < 1.6 * space:
            groups[-1].append(x)
        else:
            groups.append([x])
    left = min(s.left for s in staves)
    stemmed = 0.22 if len(staves) == 1 else 0.5  # stems seldom meet in two staves at once
    found = [(float(g[0]), float(g[-1])) for g in groups]
    found = [
        bar
        for bar in found
        if bar[0] > left + 2 * space
        and any(_lines_before(ink, s, bar[0]) for s in staves)
        and not all(_along(ink, s, bar) > stemmed for s in staves)
    ]
    if found and found[0][1] - found[0][0] > 0.8 * space and found[0][1] < left + 14 * space:
        return found[1:]  # a repeat begins right after clef and key: no measure ends there
    return found


def _along(ink: Ink, staff: Staff, bar: tuple[float, float]) -> float:
    """How much ink lies along a thin stroke in this staff, on the side that has more: a stem has its heads there."""
    space = staff.space
    if bar[1] - bar[0] > 0.6 * space:
        return 0.0
    rows = _between_lines(ink, staff)
    sides = []
    for a, b in ((bar[0] - 0.7 * space, bar[0] - 0.3 * space), (bar[1] + 0.3 * space, bar[1] + 0.7 * space)):
        part = ink[rows, max(0, round(a)) : max(1, round(b))]
        sides.append(float(part.mean()) if part.size else 0.0)
    return max(sides)


def _between_lines(ink: Ink, staff: Staff) -> Columns:
    """The rows of a staff that lie between its lines."""
    parts = [
        np.arange(round(staff.top + (k + 0.3) * staff.space), round(staff.top + (k + 0.75) * staff.space))
        for k in range(4)
    ]
    rows = np.concatenate(parts)
    inside: Columns = rows[(rows >= 0) & (rows < ink.shape[0])]
    return inside


def _lines_before(ink: Ink, staff: Staff, x: float) -> bool:
    """Whether staff lines lead up to x from the left; they do not to the start of a system or the edge of the page."""
    a, b = int(max(0, x - 2.6 * staff.space)), int(max(1, x - 0.5 * staff.space))
    if b - a < staff.space:
        return False
    return float(_line_columns(ink[:, a:b], staff.top, staff.space).mean()) > 0.5


def _free_ends(ink: Ink, staff: Staff) -> Ink:
    """Columns with paper right above the first and below the last line: a stem goes on there, a bar does not."""
    reach = max(2, round(0.8 * staff.space))
    skip = max(2, round(0.25 * staff.space))
    top, bottom = round(staff.top), round(staff.bottom)
    above = ink[max(0, top - skip - reach) : max(0, top - skip)]
    below = ink[bottom + skip : bottom + skip + reach]
    free = np.ones(ink.shape[1], bool)
    for part in (above, below):
        if part.shape[0]:
            free &= part.mean(0) < 0.4
    return free


def _lone(ink: Ink, staff: Staff) -> Ink:
    """Columns with paper between the lines on both sides or a further bar stroke: heads and flags stand at stems."""
    filled = ink[_between_lines(ink, staff)].mean(0)
    reach = max(2, round(0.45 * staff.space))
    clear = np.zeros(ink.shape[1], bool)
    quiet = (filled < 0.12) | (filled > 0.9)
    for x in range(ink.shape[1]):
        clear[x] = quiet[max(0, x - reach) : x + reach + 1].mean() > 0.7
    return clear


def _middle(ink: Ink, staff: Staff, x0: float, x1: float) -> float:
    """The middle line's y over a part of a staff: the comb once more, there alone, for pages that are a little skew."""
    part = ink[:, max(0, int(x0)) : max(1, int(x1))]
    middle = (staff.top + staff.bottom) / 2
    if part.shape[1] < 2:
        return middle
    profile = np.convolve(part.mean(1), np.ones(3) / 3, "same")
    best, at = -1.0, 0.0
    for shift in np.arange(-0.45 * staff.space, 0.46 * staff.space, 0.5):
        rows = np.round(staff.top + shift + np.arange(5) * staff.space).astype(int)
        rows = rows[(rows >= 0) & (rows < len(profile))]
        score = float(profile[rows].mean()) - 0.002 * abs(shift) if len(rows) else -1.0
        if score > best:
            best, at = score, float(shift)
    return middle + at
