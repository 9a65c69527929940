"""Engines and pipelines run over cases, what they leave in files, and the sweep."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pymupdf
import pytest
from PIL import Image

from docpipe.document import Box
from docpipe.errors import DocpipeError
from docpipe.evaluate import Case, Outcome, System, evaluate, outcomes, read_cases
from docpipe.evaluate.files import write_report, write_sweep
from docpipe.evaluate.plots import sweep_plot
from docpipe.evaluate.radgraph import RADGRAPH_F1, graphs_of
from docpipe.evaluate.report import report
from docpipe.evaluate.run import Resolution
from docpipe.evaluate.sweep import Run, Sweep, run_sweep
from docpipe.evaluate.worst import ranked, worst_page

GOLDEN = Path(__file__).parents[1] / "golden" / "tiny_10b"


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """PDFs with a text layer, their truths, and an image that is none."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, text, truth in (("a", "seven brown cats", "seven brown cats"), ("b", "two red hens", "two red pens")):
        with pymupdf.open() as pdf:
            pdf.new_page(width=200, height=60).insert_text((10, 30), text)
            pdf.save(folder / f"{name}.pdf")
        (folder / f"{name}.txt").write_text(truth)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "broken.txt").write_text("four")
    return folder


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    shutil.copytree(GOLDEN, tmp_path / "tiny")
    said = {"name": "tiny", "tasks": {name: {"max_tokens": 4} for name in ("caption", "molecule", "question")}}
    (tmp_path / "tiny" / "docpipe.json").write_text(json.dumps(said))
    return str(tmp_path / "tiny")


@pytest.fixture
def drawings(tmp_path: Path) -> list[Case]:
    cases = []
    for name in ("1", "2", "3"):
        noise = np.random.default_rng(int(name)).integers(0, 256, (60, 90, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
        cases.append(Case(name, tmp_path / f"{name}.png", ("CCO",)))
    return cases


def test_an_engine_s_answers_and_failures_are_both_outcomes(pages: Path) -> None:
    found = evaluate(read_cases(pages, "text"), "text", System(engine="textlayer"))
    assert [(o.case.id, o.status) for o in found.outcomes] == [
        ("a.pdf", "emitted"), ("b.pdf", "emitted"), ("broken.png", "failed"),
    ]  # fmt: skip
    assert found.outcomes[0].text == "seven brown cats"
    assert found.outcomes[2].message.startswith("DP")
    # One letter of 16 + 12 is wrong, and all 4 of the page that failed.
    assert found.first.overall.value == pytest.approx((1 + 4) / (16 + 12 + 4))
    assert found.first.emitted.value == pytest.approx(1 / 28)


def test_words_have_their_places_as_shares_of_the_page(pages: Path) -> None:
    (first, *_) = outcomes(read_cases(pages, "text")[:1], "text", System(engine="textlayer"))
    assert [w.text for w in first.words] == ["seven", "brown", "cats"]
    assert 0.04 < first.words[0].box.x0 < 0.06
    assert Box(0, 0, 1, 1).covers(first.words[2].box, 1.0)


def test_a_pipeline_is_read_as_docpipe_read_does(pages: Path) -> None:
    found = evaluate(read_cases(pages, "text")[:1], "text", System())
    assert (found.system, found.outcomes[0].text) == ("default", "seven brown cats")


def test_a_checkpoint_answers_and_an_engine_refuses_what_it_cannot(drawings: list[Case], tiny: str) -> None:
    found = list(outcomes(drawings, "caption", System(model=tiny)))
    assert {o.status for o in found} <= {"emitted", "invalid"}
    assert all(o.text for o in found)
    for task, system, code in (
        ("molecule", System(engine="textlayer"), "DP633"),
        ("table", System(model=tiny), "DP307"),
        ("molecule", System(engine="nothing"), "DP205"),
        ("molecule", System(engine="textlayer", gated=False), "DP205"),
        ("question", System(), "DP633"),
    ):
        with pytest.raises(DocpipeError) as caught:
            list(outcomes(drawings, task, system))
        assert caught.value.code == code


def test_what_a_checkpoint_keeps_back_counts_as_abstained_unless_it_is_not_gated(
    drawings: list[Case], tiny: str
) -> None:
    file = Path(tiny) / "docpipe.json"
    said = json.loads(file.read_text())
    said |= {
        "abstain_below": {"caption": 0.5},
        "confidence": {"caption": {"measure": "mean", "x": [0, 1], "y": [0.1, 0.2]}},
    }
    file.write_text(json.dumps(said))
    kept = evaluate(drawings, "caption", System(model=tiny), draws=5)
    assert kept.counts["abstained"] == 3
    assert kept.coverage.value == 0
    told = evaluate(drawings, "caption", System(model=tiny, gated=False), draws=5)
    assert told.counts["abstained"] == 0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("native", Resolution()),
        ("448", Resolution(side=448)),
        ("448px", Resolution(side=448)),
        ("150dpi", Resolution(dpi=150)),
    ],
)
def test_resolutions(text: str, wanted: Resolution) -> None:
    assert Resolution.parse(text) == wanted


@pytest.mark.parametrize("text", ["", "big", "4", "-5", "1e3", "448 x 448"])
def test_what_is_no_resolution_is_refused(text: str) -> None:
    with pytest.raises(DocpipeError, match="DP632"):
        Resolution.parse(text)


def test_less_of_the_image_is_seen_at_a_lower_resolution(tmp_path: Path) -> None:
    """Text that OCR reads at its own size is gone when the image is 24 pixels wide."""
    from docpipe.evaluate.run import _ref
    from docpipe.source import open_source

    Image.new("RGB", (300, 150), "white").save(tmp_path / "a.png")
    case = Case("a", tmp_path / "a.png", ("x",))
    for side, size in ((24, (24, 12)), (600, (300, 150))):
        with open_source(_ref(case, Resolution(side=side))) as source:
            assert (source.page(1).width, source.page(1).height) == size


def test_a_sweep_measures_every_system_at_every_resolution(drawings: list[Case], tiny: str, tmp_path: Path) -> None:
    made = run_sweep(
        drawings, "molecule", [System(model=tiny), System(model=tiny, gated=False)],
        [Resolution(side=16), Resolution()], draws=20,
    )  # fmt: skip
    assert made.resolutions == ["16px", "native"]
    assert len(made.systems) == 2
    assert len(made.runs) == 4
    assert all(Path(tiny).parent.name not in name for name in made.systems)
    assert made.runs[0].parameters
    assert made.runs[0].parameters > 1000
    assert made.runs[0].side
    names = {file.name for file in write_sweep(made, tmp_path / "out")}
    assert names == {"sweep.json", "sweep.png", *(f"cases-{i}.parquet" for i in range(1, 5)), "manifest.json"}
    with Image.open(tmp_path / "out/sweep.png") as plot:
        assert plot.size[0] > 400


def test_checkpoints_of_one_name_are_told_apart(drawings: list[Case], tiny: str) -> None:
    made = run_sweep(drawings[:1], "caption", [System(model=tiny), System(model=tiny)], [Resolution()], draws=5)
    assert made.systems == ["1: tiny", "2: tiny"]


def test_a_sweep_shows_the_measure_that_is_asked_for(drawings: list[Case], tiny: str) -> None:
    made = run_sweep(drawings[:1], "molecule", [System(model=tiny)], [Resolution()], measure="tanimoto", draws=5)
    assert made.measure == made.to_json()["measure"] == made.figure(made.runs[0]).name == "Tanimoto"
    assert run_sweep(drawings[:1], "molecule", [System(model=tiny)], [Resolution()], draws=5).measure == "exact"
    with pytest.raises(DocpipeError, match=r"DP632 TEDS: .*measures of molecule are exact, .*Tanimoto"):
        run_sweep(drawings[:1], "molecule", [System(model="no such model")], [Resolution()], measure="TEDS")


def test_a_plot_has_a_panel_for_each_axis_and_never_joins_unlike_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sizes at two inputs: by parameters a line an input size, by input a line a size."""
    from matplotlib.axes import Axes

    drawn: list[tuple[str, list[float]]] = []
    real = Axes.errorbar

    def seen(self: Axes, x: list[float], y: list[float], **options: Any) -> Any:
        drawn.append((options["label"], list(x)))
        return real(self, x, y, **options)

    monkeypatch.setattr(Axes, "errorbar", seen)
    cells = [(400_000, 64), (404_000, 128), (1_300_000, 64), (1_310_000, 128)]
    runs = tuple(Run(report(rows(), "molecule", str(cell), draws=5), cell[0], cell[1], None) for cell in cells)
    assert sweep_plot(Sweep("molecule", runs, "exact")).startswith(b"\x89PNG")
    assert drawn == [
        ("64 px", [0.4, 1.3]), ("128 px", [0.404, 1.31]), ("0.4 M", [64, 128]), ("1.3 M", [64, 128]),
    ]  # fmt: skip
    drawn.clear()
    sweep_plot(Sweep("molecule", runs[:1], "exact"))
    assert [label for label, _ in drawn] == ["(400000, 64) (0.4 M, 64 px)"]


def rows() -> list[Outcome]:
    def case(name: str, *truths: str) -> Case:
        return Case(name, Path("none") / name, truths)

    return [
        Outcome(case("right.png", "CCO"), "emitted", "OCC", 0.9),
        Outcome(case("unsure.png", "CCO"), "emitted", "CCC", 0.2),
        Outcome(case("sure.png", "CCO"), "emitted", "CCC", 0.8),
        Outcome(
            case("<b>&'\".png", "<script>alert(1)</script>"), "invalid", "<img src=x onerror=alert(1)>", 0.3, "<i>"
        ),
        Outcome(case("silent.png", "CCO"), "abstained", message="not sure"),
    ]


def test_the_worst_are_sure_wrong_answers_and_right_ones_are_left_out() -> None:
    found = report(rows(), "molecule", "x", draws=5)
    assert [found.outcomes[i].case.id for i in ranked(found)] == ["sure.png", "unsure.png", "<b>&'\".png", "silent.png"]


def test_the_page_of_the_worst_escapes_everything_and_loads_nothing() -> None:
    page = worst_page(report(rows(), "molecule", "<x>", draws=5), 10)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "").replace(
        "http://www.rdkit.org/xml", ""
    ).replace("http://www.w3.org/1999/xlink", "")
    assert "DP107" in page  # the images are not there, and it says so


def test_files_hold_every_case_and_the_same_bytes_twice(pages: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        found = evaluate(read_cases(pages, "text"), "text", System(engine="textlayer"), draws=50)
        write_report(found, tmp_path / folder)
    for name in ("report.json", "cases.parquet", "worst.html"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    table = pq.read_table(tmp_path / "one/cases.parquet").to_pylist()
    assert [row["id"] for row in table] == ["a.pdf", "b.pdf", "broken.png"]
    assert [row["right"] for row in table] == [True, False, False]
    assert table[1]["CER"] == pytest.approx(1 / 12)
    assert table[2]["answer"] is None
    assert json.loads((tmp_path / "one/report.json").read_text())["counts"]["failed"] == 1
    page = (tmp_path / "one/worst.html").read_text()
    assert "data:image/png;base64," in page
    assert "two red pens" in page


def test_a_missing_extractor_of_graphs_is_a_coded_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radgraph", None)
    with pytest.raises(DocpipeError, match=r"DP634 radgraph: .*pip install radgraph"):
        graphs_of(["No effusion."])
    assert graphs_of(["", " "]) == [[], []]


def test_graphs_are_asked_of_the_package_for_reports_that_say_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's own form of answer: by the report's place, entities by number."""

    def extractor(model_type: str) -> object:
        assert model_type == "radgraph"
        return lambda reports: {
            str(i): {"entities": {"1": {"tokens": r.split()[-1], "label": "OBS-DA", "relations": []}}}
            for i, r in enumerate(reports)
        }

    monkeypatch.setitem(sys.modules, "radgraph", SimpleNamespace(RadGraph=extractor))
    said = [
        Outcome(Case("1", Path("x"), ("no effusion",)), "emitted", "without effusion"),
        Outcome(Case("2", Path("x"), ("no effusion",)), "emitted", "no mass"),
        Outcome(Case("3", Path("x"), ("no effusion",)), "abstained"),
    ]
    found = report(said, "radiology", "x", draws=5, extra=[RADGRAPH_F1])
    # Entities agree in the first; relations are none on either side, which agrees too, but an abstention scores 0.
    assert next(f.each for f in found.figures if f.name == "RadGraph F1") == (1.0, 0.5, 0.0)
