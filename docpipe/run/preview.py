"""What converting documents will take: look at them, try pages of a sample, and reckon from these to the whole."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.models.cpu import usable_cores
from docpipe.pipeline import Pipeline
from docpipe.run.absent import CHARACTERS_A_TOKEN, STAND_INS, Absent, absent_model, kinds_of_tasks, without
from docpipe.run.crew import Limits
from docpipe.run.machines import Machine, this_machine
from docpipe.run.plan import Plan, Population, choose, planned, totals
from docpipe.run.trial import Trial, TrialSettings, Tried
from docpipe.source import SourceRef

OPENED = 300
"""At most so many documents are looked at, chosen by the seed; the others are taken to be like them."""

LANES = 4
"""At most so many workers try pages."""


@dataclass(frozen=True)
class PlanSettings:
    """How a run is planned. sample: pages to try. jobs: worker processes of the run. pages: a range, of every document.
    formats: exports beside document.json. limits: what a page may cost. machine: None for this one. price_per_hour: of
    the machine, instead of what its description says. seed: of the choice of pages.
    """

    sample: int = 24
    jobs: int | None = None
    pages: str | None = None
    formats: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    machine: Machine | None = None
    price_per_hour: float | None = None
    seed: int = 0


def plan_sources(refs: Sequence[SourceRef], pipeline: Pipeline, settings: PlanSettings) -> Plan:
    """Plan a run over documents. A document that cannot be opened is counted, by the code of its error.

    Raises DP204 for a page range that is none, DP209 for a pipeline composed in Python, DP534 when it names a model
    that cannot be run here and whose speed the machine's description does not tell, DP535 when no document can be
    opened.
    """
    file, machine = pipeline.file, settings.machine or this_machine()
    if file is None:
        raise DocpipeError("DP209", pipeline.name, "only a pipeline from a file can be planned")
    absent = absent_model(file, here=machine.here)
    figures = absent.figures(machine) if absent is not None else None
    jobs = settings.jobs or (min(4, machine.cores) if machine.here else machine.cores)
    lanes = min(jobs, LANES, usable_cores() if not machine.here else LANES)
    opened = refs if len(refs) <= OPENED else random.Random(settings.seed).sample(list(refs), OPENED)
    trial_settings = TrialSettings(lanes, settings.pages, settings.formats, settings.limits, sharing=jobs)
    with Trial(trial_settings) as trial:
        looked = trial.look(opened)
        if all(one.error is not None and one.error.code == "DP204" for one in looked) and looked:
            assert looked[0].error is not None
            raise looked[0].error
        of = Population(len(refs), tuple(len(one.opening.wanted) if one.opening else 0 for one in looked))
        picks = choose(of.pages, max(1, settings.sample), settings.seed)
        if not picks:
            raise DocpipeError("DP535", f"{len(refs)} documents", str(looked[0].error) if looked else "there are none")
        kinds, asked = kinds_of_tasks(file), [(0, 0.0)] * len(picks)
        if absent is not None:
            shown, _ = trial.run(opened, looked, picks, Pipeline.from_file(without(file, absent, stand_ins=True)))
            asked = [absent.asked(one.page, kinds) for one in shown]
            pipeline = Pipeline.from_file(without(file, absent, stand_ins=False))
        tried, costs = trial.run(opened, looked, picks, pipeline)
    values = [
        values_of(one, kinds, absent) | {"crops": crops, "tokens": tokens}
        for one, (crops, tokens) in zip(tried, asked, strict=True)
    ]
    return planned(
        totals(picks, values, of, seed=settings.seed),
        of,
        costs,
        jobs=jobs,
        machine=machine,
        pipeline=pipeline.name,
        refused=Counter(one.error.code for one in looked if one.error is not None),
        tried=len(picks),
        figures=figures,
        price_per_hour=settings.price_per_hour,
        notes=_notes(of, machine, absent, [one.page for one in tried]),
    )


def values_of(tried: Tried, kinds: Mapping[str, frozenset[str]], absent: Absent | None = None) -> dict[str, float]:
    """What a page came to, by the names that `plan.planned` sums; but for "crops" and "tokens" of an absent model."""
    page = tried.page
    values: dict[str, float] = defaultdict(float)
    for name, spent in tried.seconds.items():
        values[f"stage:{name}"] += spent
        values["seconds"] += spent
    values[f"status:{page.status}"] += 1
    values["bytes"] = tried.size
    for region in page.regions:
        values[f"kind:{region.kind}"] += 1
        if absent is not None and absent.is_asked(region, kinds):
            values[f"engine:{absent.checkpoint}"] += 1
        elif region.reading is not None:
            values[f"engine:{region.reading.origin.engine}"] += 1
    return dict(values)


def _notes(of: Population, machine: Machine, absent: Absent | None, pages: Sequence[Page]) -> list[str]:
    notes = []
    if len(of.pages) < of.documents:
        notes.append(
            f"{len(of.pages)} of {of.documents} documents were looked at; the others are taken to be like them"
        )
    if not machine.here:
        notes.append(
            f"for {machine.name}: {machine.source or 'as described'}; a core is {machine.speed:g} times this one"
        )
    if absent is not None:
        measured = ", ".join(task for task in absent.tasks if task in STAND_INS) or "none"
        notes.append(
            f"{absent.checkpoint} was not run: its time is crops and tokens times the figures of its speed; tokens are"
            f" {CHARACTERS_A_TOKEN:g} characters each of what other engines read ({measured}), else taken for granted"
        )
    late = Counter(page.error.code for page in pages if page.error is not None)
    notes += [f"{count} of the pages tried failed with {code}" for code, count in sorted(late.items())]
    return notes
