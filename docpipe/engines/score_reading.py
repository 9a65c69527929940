"""Pictures of music read strip by strip by a checkpoint that was trained for it, and put together to **kern.

Every strip is read greedily within the grammar of its tokens. Where the measures of a system then do not add up, the
strips of that measure are read again with several candidates, from which those are taken that go together.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from docpipe.document import PartConfidence
from docpipe.engines.score_confidence import Logprobs, measure_logprobs, note_parts
from docpipe.engines.score_systems import systems_of
from docpipe.engines.staves import Cut, cut_system
from docpipe.models.strips import Gray, fold
from docpipe.notation.kern_agreement import Agreement, Candidate, agree, first_choice, length_of
from docpipe.notation.kern_assembly import assemble, joined_systems
from docpipe.notation.kern_gaps import filled
from docpipe.notation.kern_grammar import ANY, END, KINDS, TICKS, Grammar, State, members
from docpipe.notation.kern_system import System, system_rows, text_of

if TYPE_CHECKING:
    from torch import Tensor

    from docpipe.models.decode import Decoded
    from docpipe.models.network import Network

STRIPS = 48
"""Strips read at once."""

UNFIT = math.log(0.1)
"""A strip whose measure does not add up counts, in the confidence, as a further token of this log-probability."""


class TokenRules:
    """The grammar over the ids of a checkpoint's vocabulary (`guided.Rules`)."""

    def __init__(self, vocabulary: Sequence[str], eos: int, grammar: Grammar = ANY) -> None:
        self.names = [name.strip() for name in vocabulary]
        self.ids: dict[str, int] = {name: i for i, name in enumerate(self.names) if name}
        self.ids[END] = eos
        self.grammar, self.start = grammar, State()
        self._masks: dict[Hashable, NDArray[np.bool_]] = {}

    def after(self, state: State, token: int) -> State:
        return self.grammar.after(state, self.names[token])

    def mask(self, state: State) -> NDArray[np.bool_]:
        groups = self.grammar.follow(state)
        found = self._masks.get(groups)
        if found is None:
            found = np.zeros(len(self.names), bool)
            found[[self.ids[t] for group in groups for t in members(group) if t in self.ids]] = True
            self._masks[groups] = found
        return found


@dataclass(frozen=True)
class ReadScore:
    """A picture's music. logprobs: of all tokens of the strips chosen, and `UNFIT` for each that does not add up.

    kern: None where no staff was found. measures, notes: how sure each measure and note of it is (score_confidence.py).
    tokens: how many were read. unfit: (system, measure, staff) of the strips whose measures are not as long as the
    others, counted from 0. cut: strips whose reading did not end. left_out: systems with another number of staves than
    the first.
    """

    kern: str | None
    logprobs: tuple[float, ...] = ()
    measures: tuple[Logprobs, ...] = ()
    notes: tuple[PartConfidence, ...] = ()
    tokens: int = 0
    unfit: tuple[tuple[int, int, int], ...] = ()
    cut: int = 0
    left_out: int = 0


class DecodeStrips(Protocol):
    """What runs the checkpoint: strips as [B, 3, 160, 160] in [-1, 1] to answers by their tokens, the likeliest first.

    rules: one for each strip; a decoder that cannot keep to rules may pass over them.
    """

    def __call__(self, pixels: Tensor, rules: Sequence[TokenRules]) -> Sequence[Sequence[Decoded]]: ...


def by_network(network: Network, prompt: Sequence[int], limit: int, width: int = 4) -> DecodeStrips:
    """docpipe's own network: beam search of a width within the rules."""

    def decode(pixels: Tensor, rules: Sequence[TokenRules]) -> Sequence[Sequence[Decoded]]:
        from docpipe.models.guided import guided

        count = len(rules)
        return guided(network, pixels, [prompt] * count, [limit] * count, rules, width)

    return decode


@dataclass(frozen=True)
class ScoreReader:
    """Reads pictures of music.

    vocabulary: the tokens by id. eos: the id that ends an answer. agreement: choose the readings of strips that go
    together. forced: read strips that do not fit once more, as long as their measure must be.
    """

    decode: DecodeStrips
    vocabulary: tuple[str, ...]
    eos: int
    agreement: bool = True
    forced: bool = True

    def read(self, images: Sequence[Image.Image]) -> list[ReadScore]:
        """The music of each picture, its systems joined."""
        pages = [[cuts for system in systems_of(image) if (cuts := cut_system(system))] for image in images]
        strips = [cut.pixels for page in pages for cuts in page for cut in cuts]
        rules = TokenRules(self.vocabulary, self.eos)
        read = iter(self._candidates(strips, [rules] * len(strips)))
        return [self._page([(cuts, [next(read) for _ in cuts]) for cuts in page]) for page in pages]

    def _candidates(self, strips: Sequence[Gray], rules: Sequence[TokenRules]) -> list[list[Candidate]]:
        """The readings of each strip, the likeliest first."""
        out: list[list[Candidate]] = []
        for first in range(0, len(strips), STRIPS):
            some = strips[first : first + STRIPS]
            for every in self.decode(_pixels(some), rules[first : first + STRIPS]):
                out.append([self._candidate(one) for one in every])
        return out

    def _candidate(self, one: Decoded) -> Candidate:
        return Candidate(tuple(self.vocabulary[t].strip() for t in one.tokens), one.logprobs, one.finished)

    def _page(self, systems: Sequence[tuple[Sequence[Cut], Sequence[list[Candidate]]]]) -> ReadScore:
        """One picture's systems put together. Those with other numbers of staves than the first one are left out."""
        parts: list[System] = []
        unfit: list[tuple[int, int, int]] = []
        taken: list[Candidate] = []
        meter: Fraction | None = None
        left_out = 0
        for s, (cuts, read) in enumerate(systems):
            columns = _columns(cuts, read)
            if parts and len(parts[0].staves) != len(columns[0]):
                left_out += 1
                continue
            found = agree(columns, meter) if self.agreement else first_choice(columns)
            if self.forced and self.agreement:
                columns = self._again(cuts, columns, found)
                found = agree(columns, meter)
            meter = found.length or meter
            rows = [
                [readings[k] for readings, k in zip(column, row, strict=True)]
                for column, row in zip(columns, found.chosen, strict=True)
            ]
            believed = found.length if found.common >= 2 else None
            said = [
                [_said(row[staff], fit[staff], believed) for row, fit in zip(rows, found.fits, strict=True)]
                for staff in range(len(columns[0]))
            ]
            tokens = [[strip[0] for strip in staff] for staff in said]
            parts.append(assemble(tokens, [[strip[1] for strip in staff] for staff in said]))
            taken += (candidate for row in rows for candidate in row)
            unfit += ((s, m, staff) for m, row in enumerate(found.fits) for staff, fits in enumerate(row) if not fits)
        logs = [log for candidate in taken for log in candidate.logprobs]
        whole = filled(joined_systems(parts))
        lines = system_rows(whole) if parts else []
        return ReadScore(
            kern=text_of(lines) if parts else None,
            logprobs=(*logs, *[UNFIT] * len(unfit)),
            measures=measure_logprobs(whole),
            notes=note_parts(whole, lines),
            tokens=sum(len(candidate.tokens) for candidate in taken),
            unfit=tuple(unfit),
            cut=sum(not candidate.finished for candidate in taken),
            left_out=left_out,
        )

    def _again(
        self, cuts: Sequence[Cut], columns: list[list[list[Candidate]]], found: Agreement
    ) -> list[list[list[Candidate]]]:
        """The columns with further readings, as long as they must be, of the strips that did not fit."""
        places = [
            (m, staff)
            for m, row in enumerate(found.fits)
            for staff, fits in enumerate(row)
            if not fits and len(found.lengths[m]) == 1 and found.lengths[m][0] > 0
        ]
        if not places:
            return columns
        at = {(cut.measure, cut.staff): cut.pixels for cut in cuts}
        lengths = [int(found.lengths[m][0] * TICKS) for m, _ in places]
        rules = {n: TokenRules(self.vocabulary, self.eos, Grammar(length=n)) for n in set(lengths)}
        more = self._candidates([at[place] for place in places], [rules[n] for n in lengths])
        out = [list(column) for column in columns]
        for (m, staff), readings in zip(places, more, strict=True):
            known = {candidate.tokens for candidate in out[m][staff]}
            out[m][staff] = [*out[m][staff], *(c for c in readings if c.finished and c.tokens not in known)]
        return out


def _said(reading: Candidate, fits: bool, length: Fraction | None) -> tuple[tuple[str, ...], Logprobs]:
    """A reading's tokens without the meters that the measures of its system contradict, and their log-probabilities,
    with `UNFIT` after them where it does not fit. length: of those measures.
    """
    tokens, logprobs = reading.tokens, reading.logprobs if fits else (*reading.logprobs, UNFIT)
    if length is None or not reading.contradicts(length):
        return tokens, logprobs
    wrong = {i for i, t in enumerate(tokens) if KINDS[t] == "change" and t[0] == "M" and length_of(t[1:]) != length}
    said = tuple(token for i, token in enumerate(tokens) if i not in wrong)
    return said, tuple(log for i, log in enumerate(logprobs) if i not in wrong)


def _columns(cuts: Sequence[Cut], read: Sequence[list[Candidate]]) -> list[list[list[Candidate]]]:
    """Candidates by measure and staff."""
    staves, measures = (max(getattr(cut, what) for cut in cuts) + 1 for what in ("staff", "measure"))
    columns: list[list[list[Candidate]]] = [[[] for _ in range(staves)] for _ in range(measures)]
    for cut, candidates in zip(cuts, read, strict=True):
        columns[cut.measure][cut.staff] = candidates
    return columns


def _pixels(strips: Sequence[Gray]) -> Tensor:
    """Strips as the network sees them: [B, 3, 160, 160] in [-1, 1]."""
    import torch

    folded = torch.from_numpy(np.stack([fold(strip) for strip in strips]))
    return folded.float().div_(127.5).sub_(1.0)[:, None].expand(-1, 3, -1, -1)
