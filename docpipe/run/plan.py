"""What a run will take, from a sample of its pages: which to try, and the arithmetic from them to the whole.

Pure: nothing is opened or run here (`run.trial` does). The sample is stratified: all pages, document after document,
are cut into runs, and one page is drawn from each; a page stands for as many pages as its run has. Intervals are
percentiles of a bootstrap over the pages tried, within their document where it has several of them, else among those
of all documents (Cochran, Sampling Techniques, 3rd ed., 5A.12: collapsed strata; Efron and Tibshirani, An Introduction
to the Bootstrap, chapter 13). A document that was tried whole adds nothing to them.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from docpipe.run.crew import RECYCLE
from docpipe.run.machines import Figures, Machine
from docpipe.run.runner import LEAST

DRAWS, LEVEL = 2000, 0.95

Array = npt.NDArray[np.float64]


class Pick(NamedTuple):
    """A page to try. document: its place among those opened, from 0. page: its place among that one's wanted pages,
    from 0. weight: the pages it stands for. group: pages of one group are drawn for each other; None: it stands for
    itself alone.
    """

    document: int
    page: int
    weight: int
    group: int | None


def choose(pages: Sequence[int], count: int, seed: int = 0) -> list[Pick]:
    """Choose about `count` pages. pages: how many each document has (0: it could not be opened).

    Every document gives a page where there are at least as many as documents; the rest go to documents by their pages,
    never more than there are. Else whoever has more pages is the likelier to give one.
    """
    random_ = random.Random(seed)
    held = [d for d, n in enumerate(pages) if n > 0]
    if count < len(held):
        places = [(d, page) for d in held for page in range(pages[d])]
        drawn = ((run, random_.choice(run)) for run in _runs(places, count))
        return [Pick(document, page, len(run), 0) for run, (document, page) in drawn]
    picks = []
    for document, n in _shared([pages[d] for d in held], count):
        whole = held[document]
        group = None if n == pages[whole] else (whole + 1 if n > 1 else 0)
        for run in _runs(range(pages[whole]), n):
            picks.append(Pick(whole, random_.choice(run), len(run), group))
    return picks


def _runs(items: Sequence[Any], count: int) -> list[Sequence[Any]]:
    """Items cut into so many runs of nearly equal length."""
    ends = [len(items) * i // count for i in range(count + 1)]
    return [items[a:b] for a, b in itertools.pairwise(ends) if b > a]


def _shared(pages: Sequence[int], count: int) -> list[tuple[int, int]]:
    """How many of `count` pages each document gives: one at least, the rest by the pages it has, none more than it has.

    By their pages' square root, as a compromise between the whole and each document (Bankier 1988, Power Allocations),
    dealt out by D'Hondt's method.
    """
    given = [1] * len(pages)
    left = min(count, sum(pages)) - len(pages)
    while left > 0:
        best = max((i for i, n in enumerate(pages) if given[i] < n), key=lambda i: math.sqrt(pages[i]) / (given[i] + 1))
        given[best] += 1
        left -= 1
    return list(enumerate(given))


# --- from the sample to the whole ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its interval; None where the sample shows no spread."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Totals:
    """Sums over all pages, by name: `value`, and as many resampled ones as there were draws in `drawn`."""

    value: dict[str, float]
    drawn: dict[str, Array]
    spread: bool

    def estimate(self, name: str) -> Estimate:
        """One sum with its interval; 0 for a name that no page had."""
        if name not in self.value:
            return Estimate(0.0, 0.0, 0.0) if self.spread else Estimate(0.0)
        return interval(self.value[name], self.drawn[name], self.spread)


def interval(value: float, drawn: Array, spread: bool = True) -> Estimate:
    """An estimate from a figure and its resampled ones."""
    if not spread:
        return Estimate(value)
    low, high = np.percentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(value, min(value, float(low)), max(value, float(high)))


@dataclass(frozen=True)
class Population:
    """What is to be converted. documents: all of them; pages: of each that was opened, 0 where that failed."""

    documents: int
    pages: tuple[int, ...]

    def openings(self, jobs: int) -> float:
        """How often a worker opens a document: its pages are shared among the workers, LEAST for one at the least."""
        return self.factor * sum(min(jobs, -(-n // LEAST)) for n in self.pages)

    @property
    def factor(self) -> float:
        """Documents for each that was opened."""
        return self.documents / len(self.pages) if self.pages else 0.0


def totals(
    picks: Sequence[Pick], values: Sequence[Mapping[str, float]], of: Population, *, draws: int = DRAWS, seed: int = 0
) -> Totals:
    """Sums over all pages of what the pages tried came to. values: of each pick; a name that it lacks counts 0.

    "pages" is always among the names.
    """
    names = sorted({name for one in values for name in one} - {"pages"})
    table = np.array([[1.0, *(one.get(name, 0.0) for name in names)] for one in values]).reshape(len(picks), -1)
    weights = np.array([pick.weight for pick in picks], dtype=float)
    random_ = np.random.default_rng(seed)
    known = np.array([pick.group is None for pick in picks], dtype=bool)
    value = weights @ table
    drawn = np.tile(weights[known] @ table[known], (draws, 1))
    spread = bool(known.all())
    for members in _groups(picks):
        n, own, mass = len(members), table[members], weights[members]
        times = random_.multinomial(n, np.full(n, 1 / n), size=draws) * mass
        # Short of a member, a bootstrapped spread is too small by (n - 1) / n of its variance: widened by as much.
        mean = mass @ own / mass.sum()
        moved = (times @ own) / times.sum(axis=1, keepdims=True) - mean
        drawn += mass.sum() * np.maximum(mean + moved * math.sqrt(n / max(1, n - 1)), 0.0)
        spread = spread or n > 1
    if len(of.pages) < of.documents:
        counts = np.array(of.pages, dtype=float)
        again = random_.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws) @ counts
        drawn *= (again / max(1.0, counts.sum()))[:, None]
    columns = ["pages", *names]
    return Totals(
        {name: float(v) for name, v in zip(columns, value * of.factor, strict=True)},
        {name: drawn[:, i] * of.factor for i, name in enumerate(columns)},
        spread,
    )


def _groups(picks: Sequence[Pick]) -> list[list[int]]:
    """The places of picks that are drawn for each other; one that would be alone joins the largest group."""
    by: dict[int, list[int]] = {}
    for place, pick in enumerate(picks):
        if pick.group is not None:
            by.setdefault(pick.group, []).append(place)
    alone = [members for members in by.values() if len(members) == 1]
    others = [members for members in by.values() if len(members) > 1]
    for members in alone:
        if others:
            max(others, key=len).extend(members)
        else:
            others.append(members)
    return others


# --- what a run takes ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Costs:
    """What was measured beside the pages' own time, all in seconds on this machine.

    start: until a worker has started and loaded what it needs. look: the first look at a document. opening: of a worker
    that begins on a document, beyond its stages. lead: of the process that leads the workers, for each page.
    busy_cores: processor seconds for each second of a worker, all processes counted. worker_gb, lead_gb: most memory
    held, in 10^9 bytes. None: this system does not tell.
    """

    start: float
    look: float
    opening: float
    lead: float
    busy_cores: float | None = None
    worker_gb: float | None = None
    lead_gb: float | None = None


@dataclass(frozen=True)
class Plan:
    """What a run will take. Seconds, 10^9 bytes, and pages, regions and readings over the whole of the sources.

    documents: that there are, opened: those looked at, refused: those of them that cannot be opened, by code.
    tried: pages of the sample. statuses: of pages. regions: by kind. engines: readings by who made them ("none": no
    engine could). stages: the share of a worker's time. crops, tokens: what a model that is not run here is asked and
    answers; model_s: its time alone. memory_gb: the workers' and their leader's. cost: in the currency of the price.
    costs: what was measured beside the pages' own time. notes: what the figures leave out or take for granted.
    """

    machine: str
    pipeline: str
    jobs: int
    documents: int
    opened: int
    refused: dict[str, int]
    tried: int
    pages: Estimate
    wall_s: Estimate
    cpu_s: Estimate | None
    memory_gb: float | None
    pages_per_s: Estimate
    statuses: dict[str, Estimate]
    regions: dict[str, Estimate]
    engines: dict[str, Estimate]
    stages: dict[str, float]
    output_gb: Estimate
    crops: Estimate
    tokens: Estimate
    model_s: Estimate
    costs: Costs
    cost: Estimate | None = None
    cost_per_1000_pages: Estimate | None = None
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, figures rounded to four digits."""
        rounded: dict[str, Any] = _rounded(asdict(self))
        return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) and abs(value) < 1e4 else value


def wall(
    pages: Array, seconds: Array, of: Population, costs: Costs, jobs: int, speed: float, model: Array, overlaps: bool
) -> tuple[Array, Array]:
    """Wall seconds of a run, and the seconds of its workers together; shapes as those of `pages`.

    pages: how many. seconds: of the stages over all of them, on this machine. speed: of a core, this machine's being 1.
    model: seconds of a model that was not run here, all its units at work; overlaps: pages are worked on meanwhile. The
    one process that leads bounds what many workers can do.
    """
    # A page's worth of work is not cut: a document's pages are shared among workers by LEAST at the least.
    jobs_used = np.minimum(jobs, np.maximum(1.0, np.ceil(pages / LEAST)))
    replaced = np.floor(pages / RECYCLE)
    begun = of.openings(jobs) * costs.opening + of.documents * costs.look
    work = seconds + begun + replaced * costs.start
    prepared = np.maximum(work / jobs_used, pages * costs.lead) / speed
    joined = np.maximum(prepared, model) if overlaps else prepared + model
    return costs.start / speed + joined, (work + jobs_used * costs.start) / speed


def planned(
    sums: Totals,
    of: Population,
    costs: Costs,
    *,
    jobs: int,
    machine: Machine,
    pipeline: str,
    refused: Mapping[str, int],
    tried: int,
    figures: Figures | None = None,
    price_per_hour: float | None = None,
    notes: Iterable[str] = (),
) -> Plan:
    """The plan of a run. sums: of the names that `trial.values_of` gives. figures: of the model that was not run."""
    zeros = np.zeros_like(sums.drawn["pages"])

    def of_name(name: str) -> tuple[Array, Array]:
        return np.array([sums.value.get(name, 0.0)]), sums.drawn.get(name, zeros)

    def modelled(place: int) -> Array:
        crops, tokens = of_name("crops")[place], of_name("tokens")[place]
        if figures is None:
            return np.zeros_like(crops)
        each = (figures.vision_s + figures.prefill_s) / figures.batch
        return np.asarray((crops * each + tokens / figures.decode_tok_s) / figures.units)

    def figured(place: int) -> tuple[Array, Array, Array]:
        pages, model = of_name("pages")[place], modelled(place)
        overlaps = figures is not None and figures.overlaps
        whole, work = wall(pages, of_name("seconds")[place], of, costs, jobs, machine.speed, model, overlaps)
        threads = figures.threads * figures.units if figures is not None else 0
        return whole, work * (costs.busy_cores or 0.0) + model * threads, model

    (one, one_cpu, one_model), (many, many_cpu, many_model) = figured(0), figured(1)
    estimates = {name: sums.estimate(name) for name in sorted(sums.value)}
    wall_s = interval(float(one[0]), many, sums.spread)
    price = price_per_hour if price_per_hour is not None else machine.price_per_hour
    pages = estimates["pages"]
    spent = {name[6:]: sums.value[name] for name in sums.value if name.startswith("stage:")}
    memory = _memory(costs, jobs, figures)
    return Plan(
        machine=machine.name,
        pipeline=pipeline,
        jobs=jobs,
        documents=of.documents,
        opened=len(of.pages),
        refused=dict(refused),
        tried=tried,
        pages=pages if len(of.pages) < of.documents else Estimate(pages.value, pages.value, pages.value),
        wall_s=wall_s,
        cpu_s=interval(float(one_cpu[0]), many_cpu, sums.spread) if costs.busy_cores is not None else None,
        memory_gb=memory,
        pages_per_s=interval(pages.value / wall_s.value, sums.drawn["pages"] / many, sums.spread),
        statuses=_named(estimates, "status:"),
        regions=_named(estimates, "kind:"),
        engines=_named(estimates, "engine:"),
        stages={name: s / sum(spent.values()) for name, s in sorted(spent.items(), key=lambda kv: -kv[1]) if s},
        output_gb=_scaled(sums.estimate("bytes"), 1e-9),
        crops=sums.estimate("crops"),
        tokens=sums.estimate("tokens"),
        model_s=interval(float(one_model[0]), many_model, sums.spread),
        costs=costs,
        cost=_scaled(wall_s, price / 3600) if price is not None else None,
        cost_per_1000_pages=(
            interval(price / 3.6 * wall_s.value / pages.value, price / 3.6 * many / sums.drawn["pages"], sums.spread)
            if price is not None
            else None
        ),
        notes=(*notes, *_warnings(memory, machine)),
    )


def _memory(costs: Costs, jobs: int, figures: Figures | None) -> float | None:
    if costs.worker_gb is None or costs.lead_gb is None:
        return None
    model = figures.peak_rss_gb * (figures.units if figures.overlaps else jobs) if figures is not None else 0.0
    return jobs * costs.worker_gb + costs.lead_gb + model


def _warnings(memory: float | None, machine: Machine) -> list[str]:
    if memory is not None and machine.memory_gb is not None and memory > machine.memory_gb:
        return [f"{memory:.1f} GB are more than the machine has ({machine.memory_gb:.1f} GB): lower --jobs"]
    return []


def _named(estimates: Mapping[str, Estimate], prefix: str) -> dict[str, Estimate]:
    """Estimates whose names begin so, without that, the largest first."""
    found = {name.removeprefix(prefix): e for name, e in estimates.items() if name.startswith(prefix)}
    return dict(sorted(found.items(), key=lambda item: -item[1].value))


def _scaled(estimate: Estimate, by: float) -> Estimate:
    ends = (None if end is None else end * by for end in (estimate.low, estimate.high))
    return Estimate(estimate.value * by, *ends)
