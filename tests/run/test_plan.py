"""The arithmetic of a plan: which pages are tried, what they stand for, and what a run takes."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from docpipe.document import Box, Page, Reading, Region, TextContent, Verdict
from docpipe.document import Origin as By
from docpipe.errors import DocpipeError
from docpipe.pipeline import read_pipeline, with_settings
from docpipe.run.absent import DESCRIPTION, Absent, absent_model, kinds_of_tasks, without
from docpipe.run.machines import PAPER, Figures, Machine, find_machine, shipped_machines, this_machine
from docpipe.run.plan import Costs, Pick, Population, choose, planned, totals, wall
from docpipe.run.processes import held

COSTS = Costs(start=2.0, look=0.5, opening=0.25, lead=0.01, busy_cores=1.0, worker_gb=0.5, lead_gb=0.25)
HERE = Machine(name="here", cores=2, here=True)


# --- the sample ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3, 7, 8, 20, 60, 1000])
def test_the_pages_tried_stand_for_all_pages_and_none_is_tried_twice(count):
    pages = (1, 0, 40, 3, 1, 0, 2)
    picks = choose(pages, count, seed=4)
    assert sum(pick.weight for pick in picks) == sum(pages)
    assert len({(p.document, p.page) for p in picks}) == len(picks) == min(count, sum(pages))
    assert all(0 <= p.page < pages[p.document] for p in picks)


def test_every_document_gives_a_page_where_there_are_enough_and_a_long_one_gives_more():
    picks = choose((1, 40, 3, 1), 10)
    given = [sum(p.document == d for p in picks) for d in range(4)]
    assert min(given) == 1
    assert given[1] > given[2] >= given[0]
    assert {p.group for p in picks if p.document in {0, 3}} == {None}  # tried whole: known, not estimated


def test_the_choice_is_the_seeds_alone():
    assert choose((30, 20), 6, seed=1) == choose((30, 20), 6, seed=1)
    assert choose((30, 20), 6, seed=1) != choose((30, 20), 6, seed=2)


def test_with_fewer_tries_than_documents_each_page_is_as_likely_as_any_other():
    seen = np.zeros(12)
    for seed in range(3000):
        for pick in choose((1, 2, 9), 2, seed=seed):
            seen[pick.page + (0, 1, 3)[pick.document]] += 1
    assert seen / 3000 == pytest.approx(np.full(12, 2 / 12), abs=0.03)


# --- sums ------------------------------------------------------------------------------------------------------


def test_what_was_tried_whole_is_known():
    picks, of = choose((2, 1), 3), Population(2, (2, 1))
    sums = totals(picks, [{"seconds": float(i)} for i in range(3)], of)
    estimate = sums.estimate("seconds")
    assert (estimate.value, estimate.low, estimate.high) == (3.0, 3.0, 3.0)
    assert sums.estimate("kind:table").value == 0.0


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random_ = random.Random(0)
    pages = tuple(random_.randint(1, 30) for _ in range(12))
    truth = {(d, p): (1 + d % 3) * random_.lognormvariate(0, 0.6) for d, n in enumerate(pages) for p in range(n)}
    whole, covered, runs = sum(truth.values()), 0, 120
    values = []
    for seed in range(runs):
        picks = choose(pages, 40, seed=seed)
        sums = totals(picks, [{"s": truth[p.document, p.page]} for p in picks], Population(12, pages), draws=400)
        estimate = sums.estimate("s")
        values.append(estimate.value)
        covered += estimate.low <= whole <= estimate.high
    assert np.mean(values) == pytest.approx(whole, rel=0.05)  # no bias
    assert 0.85 * runs <= covered <= runs


def test_one_page_shows_no_spread():
    sums = totals([Pick(0, 0, 5, 0)], [{"s": 2.0}], Population(1, (5,)))
    assert sums.estimate("s").value == 10.0
    assert sums.estimate("s").low is None


def test_documents_that_were_not_looked_at_are_taken_to_be_like_the_others():
    pages = (1, 3, 5, 2)
    sums = totals(choose(pages, 11), [{} for _ in range(11)], Population(400, pages))
    estimate = sums.estimate("pages")
    assert estimate.value == 1100.0
    assert estimate.low < 1000
    assert estimate.high > 1200


# --- a run -----------------------------------------------------------------------------------------------------


def seconds_of(pages: float, seconds: float, jobs: int = 1, speed: float = 1.0, model: float = 0.0, overlaps=False):
    one = np.array([pages])
    whole, _ = wall(
        one, np.array([seconds]), Population(1, (int(pages),)), COSTS, jobs, speed, np.array([model]), overlaps
    )
    return float(whole[0])


def test_the_wall_time_of_a_run():
    assert seconds_of(100, 50.0) == pytest.approx(2.0 + 0.5 + 0.25 + 50.0)
    assert seconds_of(100, 50.0, jobs=2) == pytest.approx(2.0 + (0.5 + 2 * 0.25 + 50.0) / 2)
    assert seconds_of(100, 50.0, speed=2.0) == pytest.approx(52.75 / 2)
    assert seconds_of(2, 50.0, jobs=8) == pytest.approx(52.75)  # two pages are one worker's
    assert seconds_of(1000, 50.0) == pytest.approx(52.75 + 2 * 2.0)  # workers are replaced
    assert seconds_of(1e6, 1e6, jobs=10_000) == pytest.approx(2.0 + 1e4)  # one process leads them all


def test_a_model_of_its_own_device_works_beside_the_pages_and_one_on_the_processor_does_not():
    assert seconds_of(100, 50.0, model=80.0, overlaps=True) == pytest.approx(2.0 + 80.0)
    assert seconds_of(100, 50.0, model=30.0, overlaps=True) == pytest.approx(52.75)
    assert seconds_of(100, 50.0, model=80.0) == pytest.approx(132.75)


def test_a_plan_adds_up():
    pages = (10, 10)
    picks = choose(pages, 6)
    values = [
        {"seconds": 1.0 + i % 2, "stage:recognize": 1.0, "stage:layout": i % 2, "status:complete": 1.0,
         "kind:table": 1.0, "engine:m": 1.0, "bytes": 1e6, "crops": 2.0, "tokens": 100.0}
        for i in range(6)
    ]  # fmt: skip
    of = Population(3, (10, 10, 0))
    figures = Figures(vision_s=0.5, prefill_s=1.5, decode_tok_s=10.0, threads=2, peak_rss_gb=4.0)
    made = planned(
        totals(picks, values, of), of, COSTS, jobs=2, machine=replace_price(HERE, 3.6), pipeline="p",
        refused={"DP104": 1}, tried=6, figures=figures,
    )  # fmt: skip
    assert made.pages.value == 20
    assert made.model_s.value == pytest.approx(40 * 2.0 + 2000 / 10.0)
    assert made.wall_s.low <= made.wall_s.value <= made.wall_s.high
    assert made.cost.value == pytest.approx(made.wall_s.value / 1000)
    assert made.cost_per_1000_pages.value == pytest.approx(made.cost.value * 50)
    assert made.memory_gb == pytest.approx(2 * 0.5 + 0.25 + 2 * 4.0)
    assert made.regions["table"].value == 20
    assert made.output_gb.value == pytest.approx(0.02)
    assert sum(made.stages.values()) == pytest.approx(1.0)
    assert made.cpu_s.value > 2 * made.model_s.value
    assert json.loads(json.dumps(made.to_dict()))["refused"] == {"DP104": 1}
    small = planned(
        totals(picks, values, of), of, COSTS, jobs=2, machine=HERE.model_copy(update={"memory_gb": 4.0}), pipeline="p",
        refused={}, tried=6, figures=figures,
    )  # fmt: skip
    assert any("lower --jobs" in note for note in small.notes)
    assert small.cost is None


def replace_price(machine: Machine, price: float) -> Machine:
    return machine.model_copy(update={"price_per_hour": price})


def test_more_workers_cost_more_memory_and_less_time():
    of, picks = Population(1, (200,)), choose((200,), 8)
    sums = totals(picks, [{"seconds": 2.0 + i} for i in range(8)], of)
    one, two = (planned(sums, of, COSTS, jobs=jobs, machine=HERE, pipeline="p", refused={}, tried=8) for jobs in (1, 2))
    assert two.wall_s.value < one.wall_s.value < 2 * two.wall_s.value
    assert two.memory_gb == pytest.approx(one.memory_gb + 0.5)


# --- machines --------------------------------------------------------------------------------------------------


def test_a_machine_from_a_file(tmp_path):
    path = tmp_path / "gpu.toml"
    path.write_text(
        'name = "a GPU"\ncores = 16\nspeed = 1.5\nprice_per_hour = 4\n[models.paligemma2-3b-448]\n'
        "vision_s = 0.1\nprefill_s = 0.3\ndecode_tok_s = 500\nbatch = 8\noverlaps = true\n"
    )
    machine = find_machine(path)
    assert (machine.cores, machine.here) == (16, False)
    assert machine.models["paligemma2-3b-448"].seconds(80, 1000) == pytest.approx(80 * 0.4 / 8 + 2.0)


def test_what_bench_prints_is_a_description_of_this_machine(tmp_path):
    path = tmp_path / "bench.json"
    said = {"shape": "paligemma2-3b-224", "model": None, "quantize": "int8", "why": "", "batch": 1, "threads": 2,
            "bandwidth_gb_s": 20.0, "gflop_s": 300.0, "vision_s": 0.8, "prefill_s": 3.8, "prefill_tokens": 266,
            "decode_tok_s": 6.0, "roofline_tok_s": 9.0, "decode_fraction": 0.6, "peak_rss_gb": 4.2}  # fmt: skip
    path.write_text(json.dumps(said))
    machine = find_machine(path)
    assert machine.here
    assert machine.cores == this_machine().cores
    assert machine.models["paligemma2-3b-224"].seconds(1, 60) == pytest.approx(0.8 + 3.8 + 10.0)


def test_the_keys_that_bench_prints_are_those_of_speed():
    from dataclasses import fields

    from docpipe.models.speed import Speed

    assert {"vision_s", "prefill_s", "prefill_tokens", "decode_tok_s", "peak_rss_gb"} <= {f.name for f in fields(Speed)}


def test_the_papers_processors_are_known_by_name():
    machines = shipped_machines()
    assert len(machines) == len(PAPER) == 6
    assert find_machine("amd-genoa-32").cores == 32
    assert find_machine("apple-m1-max").models["paligemma2-3b-224"].seconds(1, 12) == pytest.approx(1.6 + 8.2 + 1.0)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.toml", "cores = 2\n", "name"),
        ("a.toml", 'name = "x"\ncores = 0\n', "cores"),
        ("a.toml", 'name = "x"\ncores = 1\nspeeed = 2\n', "speeed"),
        ("a.toml", "name = \n", "line 1"),
        ("a.json", "[1]", "table"),
        ("a.json", '{"prefill_tokens": 266, "vision_s": 1}', "prefill_s"),
        ("none.toml", None, "none.toml"),
        ("unknown-machine", None, "amd-genoa-8"),
    ],
)
def test_a_machine_that_is_none_is_told(tmp_path, name, text, says):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(DocpipeError, match="DP533") as raised:
        find_machine(path if path.suffix else name)
    assert says in str(raised.value)


# --- a model that is not here ----------------------------------------------------------------------------------


def paligemma(model: str | None):
    return with_settings(read_pipeline("paligemma"), {"paligemma": {"model": model}} if model else {})


def test_a_pipeline_without_a_checkpoint_of_its_own_can_be_tried_whole():
    assert absent_model(read_pipeline("default"), here=True) is None
    assert absent_model(paligemma(None), here=False) is None  # nano ships: it is no more than other page work


def test_a_checkpoint_that_is_not_here_is_left_out_and_others_stand_in(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    absent = absent_model(paligemma("google/paligemma2-3b-mix-448"), here=True)
    assert (absent.checkpoint, absent.shape) == ("paligemma2-3b-mix-448", "paligemma2-3b-448")
    assert set(absent.tasks) == {"text", "caption"}  # a mix checkpoint was not trained for tables, molecules, scores
    file = paligemma("google/paligemma2-3b-mix-448")
    (engines,) = [e.settings["engines"] for e in without(file, absent, stand_ins=True).stage if e.use == "recognize"]
    assert (engines["text"], engines["caption"]) == (["textlayer", "ocr"], [])
    assert engines["molecule"] == ["paligemma"]
    (settings,) = [e.settings for e in without(file, absent, stand_ins=False).stage if e.use == "recognize"]
    assert settings["engines"]["text"] == []
    assert settings["settings"] == {"paligemma": {}}


def test_figures_are_found_by_shape_or_it_is_said_that_there_are_none():
    absent = Absent("mine", "paligemma2-3b-224", {"text": ()})
    assert absent.figures(find_machine("amd-genoa-8")).decode_tok_s == 37
    assert replace(absent, shape=None).figures(find_machine("amd-genoa-8")).decode_tok_s == 37
    with pytest.raises(DocpipeError, match=r"DP534.*paligemma2-10b-896"):
        replace(absent, shape="paligemma2-10b-896").figures(find_machine("amd-genoa-8"))
    with pytest.raises(DocpipeError, match="DP534"):
        absent.figures(HERE)


def test_what_a_model_would_be_asked_is_what_engines_before_it_leave():
    def region(id_: str, kind: str, engine: str, text: str, status: str = "valid") -> Region:
        content = TextContent(text=text) if text else None
        reading = Reading(content=content, verdict=Verdict(status=status), origin=By(engine=engine))
        return Region(id=id_, kind=kind, box=Box(0, 0, 10, 10), reading=reading)

    kinds = kinds_of_tasks(read_pipeline("default"))
    page = Page(number=1, width=100, height=100, regions=(
        region("a", "paragraph", "textlayer", "x" * 70), region("b", "paragraph", "ocr", "y" * 35),
        region("c", "paragraph", "textlayer", "bad", "invalid"), region("d", "picture", "figures", ""),
        region("e", "table", "pdftable", "t"),
    ))  # fmt: skip
    alone = Absent("m", None, {"text": (), "caption": ()})
    assert alone.asked(page, kinds) == (4, pytest.approx(20 + 10 + 3 / 3.5 + DESCRIPTION + 4))
    after = Absent("m", None, {"text": ("textlayer",), "caption": ()})
    assert after.asked(page, kinds)[0] == 3
    assert [after.is_asked(r, kinds) for r in page.regions] == [False, True, True, True, False]
    long = Page(number=1, width=9, height=9, regions=(region("a", "paragraph", "ocr", "z" * 100_000),))
    assert alone.asked(long, kinds) == (1, 513.0)  # the most that the task's answer may have


def test_what_a_process_holds():
    one = held()
    if one is None:
        pytest.skip("this system has no /proc")
    assert 0 < one.size <= one.peak
    assert held(2**22 + 1) is None
