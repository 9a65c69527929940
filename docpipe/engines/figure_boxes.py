"""Where the figures of a page are: clusters of paths and images that are no table, no frame around text, no ornament,
each with the labels that belong to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise

from docpipe.document import Box
from docpipe.engines.blocks import CAPTION
from docpipe.engines.fragments import Fragment
from docpipe.engines.graphics import LEAST_FIGURE, Cluster

_FIGURE_LABEL = re.compile(r"^(fig(ure|ura|\.)?|abb(ildung|\.)|scheme|diagram)\s*\.?\s*\d", re.IGNORECASE)

MOST_FIGURES = 120
"""A page with more drawings than this is full of icons: the largest are kept."""

MUSIC_MARGIN = 8.0
"""Room about the lines of a system of music, in points, for notes above and below them."""

LABEL_LETTERS = 32
"""A label of a figure has no more letters than this."""

ATOM_LETTERS, ATOM_REACH = 4, 0.6
"""The label of an atom has no more letters, and bonds end no farther from it, in its size."""


@dataclass(frozen=True)
class Figure:
    """A figure and the pieces of text that belong to it (axis labels, atom labels, legends)."""

    cluster: Cluster
    labels: tuple[Fragment, ...] = ()

    @property
    def box(self) -> Box:
        """Around the drawing and its labels, with a little room for the width of strokes.

        The signs of music fonts claim far more height than their ink: a system takes in what lies within a staff's
        space or two of its lines, whatever the boxes of its notes say.
        """
        if self.cluster.staves:
            return self.cluster.box.grown(MUSIC_MARGIN)
        return reduce(Box.union, (label.box for label in self.labels), self.cluster.box).grown(1.0)


def find_figures(
    clusters: Iterable[Cluster], texts: Sequence[Fragment], tables: Sequence[Box], page: Box, body: float
) -> list[Figure]:
    """The figures of a page. texts: all its text, whatever its direction. tables: boxes to leave alone."""
    loose = [c for c in clusters if not any(t.grown(3).covers(c.box, 0.6) for t in tables)]
    found = _merged([c for c in loose if _is_figure(c, texts, page, body)], loose, texts, body)
    frames = [c.box for c in loose if not c.images]
    figures = [_labelled(replace(c, box=_framed(c.box, frames, texts)), texts, body) for c in found]
    return _absorbed(figures + _captioned(loose, figures, texts, body))


def _captioned(
    loose: Sequence[Cluster], figures: Sequence[Figure], texts: Sequence[Fragment], body: float
) -> list[Figure]:
    """What stands over or under the caption of a figure that was not found: boxes and arrows with words in them."""
    found = []
    for caption in (t for t in texts if _FIGURE_LABEL.match(t.text)):
        if any(f.box.grown(4 * body).intersection(caption.box) > 0 for f in figures):
            continue
        for above in (True, False):
            zone = _zone(caption, above, texts)
            parts = [c for c in loose if c.paths and zone.covers(c.box.grown(0.1), 0.9)]
            whole = reduce(_sum, parts) if parts else None
            if whole and min(whole.box.width, whole.box.height) > 4 * body:
                words = [t for t in texts if t is not caption and t.letters <= LABEL_LETTERS + 20]
                near = whole.box.grown(3 * body)
                inside = [t for t in _inside(near, words) if zone.covers(t.box, 0.9)]
                found.append(Figure(whole, tuple(inside)))
                break
    return found


def _zone(caption: Fragment, above: bool, texts: Sequence[Fragment]) -> Box:
    """From a caption to the next line of prose above or below it, as wide as the two reach."""
    prose = [t.box for t in texts if t.letters > LABEL_LETTERS + 20 and t is not caption]
    prose = [b for b in prose if min(b.x1, caption.box.x1) - max(b.x0, caption.box.x0) > 0]
    if above:
        top = max((b.y1 for b in prose if b.y1 <= caption.box.y0), default=0.0)
        return Box(0.0, top, 1e5, caption.box.y0)
    below = [b for b in prose if b.y0 >= caption.box.y1 + 1.5 * caption.size]
    foot = min((b.y0 for b in below), default=1e5)
    return Box(0.0, caption.box.y1, 1e5, foot)


def _framed(box: Box, frames: Sequence[Box], texts: Sequence[Fragment]) -> Box:
    """The frame a figure is drawn in, when that holds nothing but the figure and its labels."""
    for frame in sorted(frames, key=lambda f: f.area):
        if frame.area > box.area and frame.grown(1.0).covers(box, 0.98) and frame.area < 4 * box.area:
            inside = _inside(frame, texts)
            listed = sum(t.monospace for t in inside) > 3  # a listing with what it draws
            if not listed and sum(t.letters > LABEL_LETTERS + 20 for t in inside) <= 0.1 * len(inside):
                return frame
    return box


def _inside(box: Box, texts: Iterable[Fragment]) -> list[Fragment]:
    return [t for t in texts if box.x0 <= t.box.center[0] <= box.x1 and box.y0 <= t.box.center[1] <= box.y1]


def _is_figure(cluster: Cluster, texts: Sequence[Fragment], page: Box, body: float) -> bool:
    box = cluster.box
    inside = _inside(box, texts)
    written = sum(t.box.area for t in inside) / max(1.0, box.area)
    prose = sum(1 for t in inside if t.letters > 42)
    if cluster.images:
        if min(box.width, box.height) < 8 or (box.height < 1.5 * body and box.width < 6 * body):
            return False
        slender = max(box.width, box.height) > 25 * min(box.width, box.height)
        return not slender and written < 0.45 and prose < 6
    if min(box.width, box.height) < LEAST_FIGURE and not _is_chain(cluster, texts):
        return False
    drawn = cluster.slanted + cluster.curved
    if cluster.staves:
        return True
    if written > 0.5 or (prose >= 3 and written > 0.2) or (prose and drawn < 6 and written > 0.1):
        return False
    if drawn >= 3 or _is_chain(cluster, texts):
        return not (box.area > 0.75 * page.area and prose)
    if drawn and not inside:
        return min(box.width, box.height) >= 2 * LEAST_FIGURE or cluster.paths > 3
    bars = cluster.filled >= 3 and box.height > 4 * body
    return bars and written < 0.12 and box.area < 0.7 * page.area


def _is_chain(cluster: Cluster, texts: Sequence[Fragment]) -> bool:
    """Whether a cluster is a short chain of bonds between two atoms' labels, however flat: ethanol, say."""
    if cluster.slanted < 2 or cluster.slanted < cluster.paths / 2 or cluster.box.width < LEAST_FIGURE:
        return False
    middle = cluster.box.center[0]
    labels = [t for t in texts if _is_atom(t, Figure(cluster))]
    return any(t.box.x1 < middle for t in labels) and any(t.box.x0 > middle for t in labels)


def _merged(seeds: list[Cluster], loose: Sequence[Cluster], texts: Sequence[Fragment], body: float) -> list[Cluster]:
    """Clusters joined that overlap or nearly touch, or that a short label stands between (bonds about an atom)."""
    seeds = sorted(seeds, key=lambda c: -c.box.area)[:MOST_FIGURES]
    largest = max((c.box.area for c in seeds), default=0.0)
    left = [c for c in loose if c not in seeds and c.box.area < 0.3 * largest and _belongs(c, body)]
    short = [t for t in texts if t.letters <= ATOM_LETTERS and t.size <= 1.6 * body]
    seeds += [c for c in left if any(_near(c, seed, body) for seed in seeds)]
    while more := [
        c for c in left if c not in seeds and any(_goes_on(c, s, body) or _bonded(c, s, short) for s in seeds)
    ]:
        seeds += more
    while len(joined := [reduce(_sum, group) for group in _linked(seeds, short)]) < len(seeds):
        seeds = joined
    return seeds


def _belongs(cluster: Cluster, body: float) -> bool:
    """Whether a cluster may be part of a figure near it: something drawn, or a stroke of a hashed bond."""
    return bool(cluster.slanted + cluster.curved) or max(cluster.box.width, cluster.box.height) < body


def _near(cluster: Cluster, seed: Cluster, body: float) -> bool:
    """Whether something drawn lies about a figure."""
    return cluster.slanted + cluster.curved > 0 and seed.box.grown(body).intersection(cluster.box.grown(0.1)) > 0


def _goes_on(cluster: Cluster, seed: Cluster, body: float) -> bool:
    """Whether straight strokes come right after others: a hashed bond after a ring, a bond after it."""
    straight = not (cluster.curved or seed.curved or seed.images)
    drawn = seed.slanted > 0 or max(seed.box.width, seed.box.height) < body
    return straight and drawn and seed.box.grown(0.5 * body).intersection(cluster.box.grown(0.1)) > 0


def _bonded(a: Cluster, b: Cluster, short: Sequence[Fragment]) -> bool:
    """Whether a short label stands between two clusters as an atom does between its bonds."""
    return bool(a.slanted and b.slanted) and any(_reaches(label, a) and _reaches(label, b) for label in short)


def _reaches(label: Fragment, cluster: Cluster) -> bool:
    return not cluster.images and label.box.grown(ATOM_REACH * label.size).intersection(cluster.box) > 0


def _linked(clusters: Sequence[Cluster], short: Sequence[Fragment]) -> list[list[Cluster]]:
    """Clusters in groups that touch each other or the same short label."""
    group_of = list(range(len(clusters)))

    def link(i: int, j: int) -> None:
        old, new = group_of[j], group_of[i]
        group_of[:] = [new if group == old else group for group in group_of]

    for j, b in enumerate(clusters):
        for i, a in enumerate(clusters[:j]):
            if group_of[i] != group_of[j] and _touch(a, b):
                link(i, j)
    for label in short:
        bonds = [i for i, c in enumerate(clusters) if c.slanted and _reaches(label, c)]
        for i, j in pairwise(bonds):
            if not _two_systems(clusters[i], clusters[j]):
                link(i, j)
    groups: dict[int, list[Cluster]] = {}
    for group, cluster in zip(group_of, clusters, strict=True):
        groups.setdefault(group, []).append(cluster)
    return list(groups.values())


def _two_systems(a: Cluster, b: Cluster) -> bool:
    """Whether two clusters are systems of music one below the other, which stay apart however near they come."""
    shared = min(a.box.y1, b.box.y1) - max(a.box.y0, b.box.y0)
    return bool(a.staves and b.staves) and shared < 0.5 * min(a.box.height, b.box.height)


def _touch(a: Cluster, b: Cluster) -> bool:
    near = 1.0 if a.images or b.images else 3.0
    return not _two_systems(a, b) and a.box.grown(near).intersection(b.box.grown(near)) > 0


def _sum(a: Cluster, b: Cluster) -> Cluster:
    return Cluster(
        a.box.union(b.box), a.slanted + b.slanted, a.curved + b.curved, a.filled + b.filled,
        a.rulings + b.rulings, a.images + b.images, a.staves + b.staves,
    )  # fmt: skip


def _labelled(cluster: Cluster, texts: Sequence[Fragment], body: float) -> Figure:
    """The figure with the text inside it and, for a drawing, the short labels along its edges."""
    if cluster.staves:
        return Figure(cluster, tuple(_inside(cluster.box.grown(MUSIC_MARGIN), texts)))
    labels = [t for t in _inside(cluster.box, texts) if not _is_caption(t)]
    figure = Figure(cluster, tuple(labels))
    if cluster.images and not cluster.slanted + cluster.curved + cluster.rulings:
        return figure
    reach = (1.7 if cluster.rulings > 1 else 0.45) * body
    for _ in range(3):
        around = figure.box.grown(reach)
        more = [
            t
            for t in texts
            if t not in labels
            and (t.letters <= LABEL_LETTERS or t.box.height > 3 * t.box.width)
            and t.size <= 1.25 * body
            and (around.intersection(t.box) > 0.3 * t.box.area or _is_atom(t, figure))
            and t.box.width <= max(cluster.box.width, 2 * t.box.height)
            and not _is_caption(t)
            and not _in_prose(t, texts)
        ]
        if not more:
            break
        labels += more
        figure = replace(figure, labels=tuple(labels))
    return figure


def _is_atom(label: Fragment, figure: Figure) -> bool:
    """Whether a piece of text may be the label of an atom at the end of one of a figure's bonds."""
    if figure.cluster.slanted < 2 or figure.cluster.images or label.letters > ATOM_LETTERS:
        return False
    a, b = figure.box, label.box
    across, down = max(a.x0 - b.x1, b.x0 - a.x1, 0.0), max(a.y0 - b.y1, b.y0 - a.y1, 0.0)
    return math.hypot(across, down) < ATOM_REACH * label.size


def _is_caption(text: Fragment) -> bool:
    return bool(CAPTION.match(text.text)) and text.letters > 4


def _in_prose(label: Fragment, texts: Sequence[Fragment]) -> bool:
    """Whether a short piece is the last line of a paragraph: a long line of its size stands right above or below."""
    return any(
        t.letters > LABEL_LETTERS + 8
        and abs(t.size - label.size) < 0.6
        and min(t.box.x1, label.box.x1) - max(t.box.x0, label.box.x0) > 0.8 * label.box.width
        and min(abs(label.box.y0 - t.box.y1), abs(t.box.y0 - label.box.y1)) < 0.6 * label.size
        for t in texts
    )


def _absorbed(figures: list[Figure]) -> list[Figure]:
    """Figures that lie within a larger one are part of it."""
    kept: list[Figure] = []
    for figure in sorted(figures, key=lambda f: -f.box.area):
        if not any(other.box.covers(figure.box, 0.7) for other in kept):
            kept.append(figure)
    return kept
