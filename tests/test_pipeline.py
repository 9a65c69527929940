"""Pipelines: those that ship, a user's own, and errors that say where and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pymupdf
import pytest

import docpipe
from docpipe.document import Box, Page, Region
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline, pipeline_names, read_pipeline
from docpipe.pipeline_file import line_of, pipeline_schema
from docpipe.resources import resource, resource_names
from docpipe.run.runner import DocumentRun
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.stages.base import per_page
from docpipe.stages.layout import layout
from docpipe.stages.recognize import recognize
from docpipe.stages.route import route
from docpipe.stages.systems import systems

NAMES = ["accessible", "chemistry", "default", "paligemma", "papers", "scans", "scores"]


def engines_of(name: str) -> dict[str, list[str]]:
    return next(dict(e.settings["engines"]) for e in read_pipeline(name).stage if e.use == "recognize")


def tasks_of(name: str) -> dict[str, list[str]]:
    return next(dict(e.settings["tasks"]) for e in read_pipeline(name).stage if e.use == "route")


def test_seven_pipelines_ship_each_with_a_summary():
    assert sorted(pipeline_names()) == NAMES
    assert all(len(summary) > 10 for summary in pipeline_names().values())


def test_the_published_schema_is_that_of_the_stages():
    published = json.loads(resource("schemas", "pipeline.v1.json").read_text("utf-8"))
    assert published == json.loads(json.dumps(pipeline_schema()))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_pipeline_meets_the_schema_and_can_be_made(name):
    import tomllib

    data = tomllib.loads(resource("pipelines", f"{name}.toml").read_text("utf-8"))
    jsonschema.validate(data, pipeline_schema())
    pipeline = Pipeline.from_toml(name)
    assert pipeline.page_stages
    assert len(pipeline.digest) == 64


def test_the_schema_refuses_what_reading_refuses():
    bad = {"name": "x", "stage": [{"use": "layout", "engine": ["geometry"]}]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, pipeline_schema())


def test_paligemma_sends_every_region_to_its_prompt():
    assert set(engines_of("paligemma")) >= {"text", "table", "molecule", "score", "caption"}
    assert {e for names in engines_of("paligemma").values() for e in names} == {"paligemma"}


def test_default_prefers_what_the_pdf_says():
    assert engines_of("default")["text"][0] == "textlayer"
    assert engines_of("default")["table"][0] == "pdftable"


def test_papers_alone_reads_front_matter_and_leaves_figures_unread():
    assert [name for name in NAMES if read_pipeline(name).front_matter] == ["papers"]
    assert not {"molecule", "score", "caption"} & set(tasks_of("papers"))


def test_chemistry_looks_at_molecules_closest_and_at_text_only_in_the_layer():
    stage = next(e for e in read_pipeline("chemistry").stage if e.use == "recognize")
    assert stage.settings["dpi"] > 200
    assert engines_of("chemistry")["text"] == ["textlayer"]


def test_scores_joins_systems_and_scans_believes_no_text_layer():
    assert "systems" in [e.use for e in read_pipeline("scores").stage]
    assert "textlayer" not in engines_of("scans")["text"]


def test_accessible_wants_a_caption_for_figures_of_every_kind():
    assert set(tasks_of("accessible")["caption"]) > set(tasks_of("default")["caption"])


BROKEN = """name = "mine"

[[stage]]
use = "layout"

[[stage]]
use = "recognize"
[stage.engines]
text = ["textlayer"]
{line}
"""


@pytest.mark.parametrize(
    ("line", "number", "allowed"),
    [
        ('table = ["tabel"]', 10, "pdftable"),
        ('tabel = ["pdftable"]', 10, "molecule"),
        ("[stage.settings.paligema]\nmodel = 'x'", 10, "paligemma"),
        ('[[stage]]\nuse = "asemble"', 11, "assemble"),
        ('[[stage]]\nuse = "route"\nfigure = true\ntasks = {text = ["paragraph"]}', 12, "figures"),
        ('[[stage]]\nuse = "route"\ntasks = {text = ["paragraf"]}', 12, "paragraph"),
        ('[[stage]]\nuse = "route"', 10, "required"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_what_is_allowed(tmp_path: Path, line, number, allowed):
    file = tmp_path / "mine.toml"
    file.write_text(BROKEN.format(line=line), encoding="utf-8")
    with pytest.raises(DocpipeError) as caught:
        Pipeline.from_toml(file)
    assert caught.value.code == "DP202"
    assert str(file) in str(caught.value)
    assert f"line {number}," in str(caught.value)
    assert allowed in str(caught.value)


def test_toml_that_is_none_and_names_that_are_none(tmp_path: Path):
    (tmp_path / "bad.toml").write_text("name = \n", encoding="utf-8")
    with pytest.raises(DocpipeError, match=r"DP202.*line 1"):
        Pipeline.from_toml(tmp_path / "bad.toml")
    with pytest.raises(DocpipeError, match=r"DP201.*default, paligemma"):
        Pipeline.from_toml("fast")
    with pytest.raises(DocpipeError, match="DP201"):
        Pipeline.from_toml(tmp_path / "none.toml")


def test_lines_are_found_in_nested_tables():
    text = "[[stage]]\nuse='a'\n[[stage]]\nuse='b'\n[stage.engines]\ntext=[\n'x']\n"
    assert line_of(text, ("stage", 1, "engines", "text", 0)) == 6
    assert line_of(text, ("stage", 0, "use")) == 2


def test_settings_reach_the_engines_that_are_used():
    made = Pipeline.from_toml(
        "default", settings={"paligemma": {"model": "somewhere"}, "other": {"x": 1}}, language="de"
    )
    stage = next(e for e in made.file.stage if e.use == "recognize")
    assert stage.settings["settings"] == {"paligemma": {"model": "somewhere"}}
    assert stage.settings["language"] == "de"
    assert made.digest != Pipeline.from_toml("default").digest


@pytest.fixture(scope="module")
def page() -> SourceRef:
    document = pymupdf.Document()
    document.new_page().insert_text((72, 100), "Some words on a page.", fontsize=11)
    return SourceRef("one.pdf", data=document.tobytes())


def test_a_pipeline_composed_in_python_with_a_stage_of_ones_own(page):
    def loud(sheet):
        regions = [region.model_copy(update={"kind": "heading"}) for region in sheet.page.regions]
        return sheet.with_regions(regions)

    pipeline = Pipeline(
        [
            layout(engines=["geometry"]),
            route(tasks={"text": ["paragraph"]}),
            recognize(engines={"text": ["textlayer"]}),
            per_page("loud", loud),
        ]
    )
    (done,) = DocumentRun(page, pipeline).pages()
    assert [(r.kind, r.text) for r in done.regions] == [("heading", "Some words on a page.")]


def marking() -> object:
    """A user's stage, named in a pipeline file by module and function."""

    def run(sheets):
        for sheet in sheets:
            yield sheet.with_regions([Region(id="p1.r1", kind="other", box=sheet.source.box)])

    return run


def test_a_pipeline_file_names_a_stage_of_ones_own(tmp_path: Path, page):
    file = tmp_path / "own.toml"
    file.write_text(f'name = "own"\n[[stage]]\nuse = "{__name__}:marking"\n', encoding="utf-8")
    (done,) = DocumentRun(page, Pipeline.from_toml(file)).pages()
    assert [region.kind for region in done.regions] == ["other"]


def test_only_known_files_lie_in_the_folders():
    assert [Path(name).stem for name in resource_names("pipelines")] == NAMES


SAMPLES = Path(__file__).parents[1] / "samples"


def test_paligemma_reads_no_region_by_any_other_engine():
    document = docpipe.convert(SAMPLES / "mixed.pdf", "paligemma", pages="2")
    kinds = set()
    for region in document.regions():
        reading = region.reading
        assert reading is not None
        kinds.add(region.kind)
        asked = {finding.where for finding in reading.verdict.findings} | {reading.origin.engine}
        assert "paligemma" in asked, region.id
        assert not asked & {"textlayer", "ocr", "pdftable", "imagetable"}, region.id
    assert kinds >= {"paragraph", "table", "molecule"}


def test_chemistry_leaves_running_feet_unread():
    seen = {}
    for name in ("default", "chemistry"):
        document = docpipe.convert(SAMPLES / "mixed.pdf", name, pages="2")
        assert document.status == "complete"
        seen[name] = {r.kind for r in document.regions() if r.reading and r.reading.origin.engine == "textlayer"}
    assert "footer" in seen["default"]
    assert "footer" not in seen["chemistry"]


def test_scans_reads_pixels_though_there_is_a_text_layer(page):
    document = docpipe.convert(page.data, "scans")
    engines = {region.reading.origin.engine for region in document.regions() if region.reading}
    assert engines == {"ocr"}
    assert "Some words on a page." in " ".join(region.text for region in document.regions())


def test_scores_joins_systems_until_a_heading():
    kinds = ["score", "score", "heading", "score"]
    regions = [
        Region(id=f"p1.r{i}", kind=kind, box=Box(50, 100 * i, 500, 100 * i + 80))  # type: ignore[arg-type]
        for i, kind in enumerate(kinds)
    ]
    sheet = Sheet(Page(number=1, width=600, height=800, regions=tuple(regions)), SourceRef("x", data=b"x"))
    (done,) = systems()(iter([sheet]))
    assert [region.continues for region in done.page.regions] == [None, "p1.r0", None, None]
