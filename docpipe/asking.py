"""Questions about an image, a page or a document: `ask`, `detect` and `caption`.

import docpipe
answers = docpipe.ask("image.png", "answer en Where is the cow standing?", model="paligemma2-3b-mix-448")
print(answers.text)
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from string import Formatter
from typing import Literal, cast

from PIL import Image, ImageOps

from docpipe.api import Found
from docpipe.document import AnswerContent, Box, Detection, ErrorItem, Finding, Page, Reading, Region
from docpipe.engines.base import Engine, Request
from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.paligemma_view import View
from docpipe.errors import DocpipeError
from docpipe.models.dicom import dicom_image, is_dicom
from docpipe.models.quantize import Mode, check_mode
from docpipe.models.registry import checkpoints_for, find_checkpoint
from docpipe.notation.tokens import write_box
from docpipe.pipeline import Pipeline, read_pipeline
from docpipe.pipeline_file import StageEntry
from docpipe.run.runner import DocumentRun
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.stages.crop import crop
from docpipe.stages.recognize import Reader
from docpipe.stages.route import parse_kinds
from docpipe.tasks import Task, get_task

Asked = str | Path | bytes | Image.Image

LANGUAGES = frozenset(
    "ar bn cs da de el en es fa fi fil fr he hi hr hu id it iw ja ko mi nl no pl pt quz ro ru sv sw te th tr uk vi zh"
    .split()
)  # fmt: skip
"""Languages of the prompts `answer`, `caption` and the like: those of Crossmodal-3600, which the papers use."""

RAW = Finding(
    code="confidence.uncalibrated",
    message="the confidence is the mean probability of the answer's tokens; the checkpoint ships no calibration",
)


CHOSEN = Finding(
    code="confidence.uncalibrated",
    message="the confidence is the answer's probability beside its opposite; the checkpoint ships no calibration",
)


class Answers(list[Found]):
    """Answers, the surest first. errors: pages that could not be asked at all."""

    def __init__(self, found: Iterable[Found] = (), errors: Iterable[ErrorItem] = ()) -> None:
        super().__init__(found)
        self.errors = tuple(errors)

    @property
    def text(self) -> str:
        """The surest answer as its canonical string; '' when there is none."""
        return self[0].text if self else ""

    @property
    def detections(self) -> tuple[Detection, ...]:
        """The things found, of all answers."""
        contents = (found.reading.content for found in self)
        return tuple(d for content in contents if isinstance(content, AnswerContent) for d in content.detections)


def ask(
    source: Asked,
    prompt: str,
    *,
    task: str | None = None,
    model: str | None = None,
    quantize: str | None = None,
    language: str = "en",
    pages: str | None = None,
    kinds: Sequence[str] | None = None,
    box: Sequence[float] | None = None,
    candidates: int = 1,
    mask_decoder: str | None = None,
    password: str | None = None,
) -> Answers:
    """Ask about an image (path, bytes, PIL; DICOM with the extra), or about each page or figure of a document.

    prompt: a question, or a prompt of PaliGemma's (`answer en …`, `detect a ; b`, `caption en`, `ocr` …). task: the
    task to ask, whose blank (a statement, an indication) the prompt then is. model: a PaliGemma 2 checkpoint (folder,
    registered or hub name). quantize: how it computes on the CPU (none, auto, int8, int8-weight, bf16; None: auto).
    kinds: ask the regions of these kinds that layout finds, instead of whole pages. box: ask about this part, x0 y0 x1
    y1 in points. mask_decoder: weights for masks (`models.masks`).

    Where several regions are asked the answers are ranked by whether their check passed and by confidence. The
    checkpoint stays loaded for the next call.

    Raises DP303 when no checkpoint is named or shipped for this, DP307 when the named one cannot do it (both name
    those that can), DP301 and DP302 when it cannot be had, DP203 for an unknown task or kind, DP208 for a box outside
    the page, DP313 for a way to quantize that there is not, and what `convert` raises for a source that cannot be
    opened.
    """
    name, parts, spoken = (task, _blank(get_task(task), prompt), None) if task else meant(prompt)
    return _answers(
        source, get_task(name), parts, model=model, quantize=quantize, language=spoken or language, pages=pages,
        kinds=kinds, box=box, candidates=candidates, mask_decoder=mask_decoder, password=password,
    )  # fmt: skip


def detect(
    source: Asked,
    things: str | Sequence[str],
    *,
    model: str | None = None,
    quantize: str | None = None,
    segment: bool = False,
    pages: str | None = None,
    box: Sequence[float] | None = None,
    mask_decoder: str | None = None,
    password: str | None = None,
) -> Answers:
    """Find things: `detect("a.png", "cat ; dog").detections` are labels and boxes in points on the page.

    things: separated by semicolons, or a list. segment: outline them too; masks need the mask decoder's weights.
    Other settings and errors as in `ask`.
    """
    names = things.split(";") if isinstance(things, str) else list(things)
    asked = " ; ".join(name.strip() for name in names if name.strip())
    if not asked:
        raise DocpipeError("DP207", "detect", "name at least one thing to find")
    return _answers(
        source, get_task("segment" if segment or mask_decoder else "detect"), {"things": asked}, model=model,
        quantize=quantize, pages=pages, box=box, mask_decoder=mask_decoder, password=password,
    )  # fmt: skip


def caption(
    source: Asked,
    *,
    model: str | None = None,
    quantize: str | None = None,
    length: Literal["short", "normal", "long"] = "normal",
    language: str = "en",
    pages: str | None = None,
    kinds: Sequence[str] | None = None,
    box: Sequence[float] | None = None,
    password: str | None = None,
) -> Answers:
    """Say what is in an image, or in each page or figure of a document.

    length: `cap`, `caption` or `describe`. box: of the part to be captioned, within the whole image (`caption
    <loc…>`, always normal and in English). Other settings and errors as in `ask`.
    """
    lengths = {"short": "short-caption", "normal": "caption", "long": "describe"}
    if length not in lengths:
        raise DocpipeError("DP207", str(length), "lengths: " + ", ".join(lengths))
    name = "grounded-caption" if box is not None else lengths[length]
    return _answers(
        source, get_task(name), {}, model=model, quantize=quantize, language=language, pages=pages, kinds=kinds,
        box=box, password=password,
    )  # fmt: skip


_PROMPTS: tuple[tuple[str, str, str], ...] = (
    ("spatial", r"answer (?P<language>\w+) (?P<statement>.+) true or false\?", "statement"),
    ("question", r"answer (?P<language>\w+) (?P<question>.+)", "question"),
    ("ask-back", r"question (?P<language>\w+) (?P<answer>.+)", "answer"),
    ("detect", r"detect (?P<things>.+)", "things"),
    ("segment", r"segment (?P<things>.+)", "things"),
    ("grounded-caption", r"caption (?P<place>(?:<loc\d{4}>){4})", "place"),
    ("caption", r"caption (?P<language>\w+)", ""),
    ("short-caption", r"cap (?P<language>\w+)", ""),
    ("describe", r"describe (?P<language>\w+)", ""),
    ("text", r"ocr", ""),
)


def meant(prompt: str) -> tuple[str, dict[str, str], str | None]:
    """The task that a prompt asks for, what fills its blank, and the language it names.

    A prompt in none of PaliGemma's forms is a question. Raises DP207 for an empty one.
    """
    text = prompt.strip()
    if not text:
        raise DocpipeError("DP207", "ask", "write a question or a prompt")
    for task, pattern, blank in _PROMPTS:
        found = re.fullmatch(pattern, text, re.DOTALL)
        said = found.groupdict() if found else {}
        if found and said.get("language", "en") in LANGUAGES:
            return task, {blank: said[blank]} if blank else {}, said.get("language")
    return "question", {"question": text}, None


def _blank(task: Task, prompt: str) -> dict[str, str]:
    """What a task's prompt leaves blank, filled with the words given."""
    names = [name for _, name, _, _ in Formatter().parse(task.prompts["*"]) if name and name != "language"]
    return dict.fromkeys(names, prompt.strip())


def _answers(
    source: Asked,
    task: Task,
    parts: dict[str, str],
    *,
    model: str | None,
    quantize: str | None,
    language: str = "en",
    pages: str | None = None,
    kinds: Sequence[str] | None = None,
    box: Sequence[float] | None = None,
    candidates: int = 1,
    mask_decoder: str | None = None,
    password: str | None = None,
) -> Answers:
    mode = quantize or "auto"
    check_mode(mode)
    run = DocumentRun(as_ref(source, password), _finder(kinds), wanted=pages)
    engine = _engine(model, candidates, mask_decoder, mode)
    calibrated = _ready(engine, task.name)
    reader, found = Reader(task, [cast(Engine, engine)]), []
    several = kinds is not None or run.page_count > 1
    for page in run.pages():
        requests = [Request(task, s, r, language, p) for s, r, p in _regions(run.ref, page, task, parts, kinds, box)]
        for request, (reading, _) in zip(requests, reader.read(requests), strict=True):
            kept = _confident(reading, calibrated, several or task.name == "spatial")
            found.append(Found(run.ref.name, page.number, request.region, kept))
    return Answers(sorted(found, key=_rank, reverse=True) if several else found, run.errors)


@lru_cache(maxsize=1)
def _engine(model: str | None, candidates: int, mask_decoder: str | None, mode: str) -> PaliGemmaEngine:
    return PaliGemmaEngine(
        model=model, candidates=candidates, mask_decoder=mask_decoder, confidence="raw", quantize=cast(Mode, mode)
    )


def _ready(engine: PaliGemmaEngine, task: str) -> bool:
    """Load the checkpoint for a task; whether its confidence is calibrated. Raises DP301, DP302, DP303, DP307."""
    named = find_checkpoint(engine.model) if engine.model else None
    checkpoint = named or engine.checkpoint_for(task)
    if checkpoint is None or not checkpoint.can_read(task):
        names = ", ".join(c.name for c in checkpoints_for(task))
        fit = f"{names} can" if names else "no registered checkpoint was trained for it; a fine-tune of your own is"
        code, subject = ("DP307", f"{checkpoint.name}, {task}") if checkpoint else ("DP303", task)
        raise DocpipeError(code, subject, fit)
    return task in engine.load(checkpoint).checkpoint.calibration


def _finder(kinds: Sequence[str] | None) -> Pipeline:
    """What finds the regions to ask: whole pages, or the default pipeline's layout."""
    if kinds is None:
        return Pipeline([crop(kind="other")])
    wanted = list(parse_kinds(tuple(kinds)))
    file = read_pipeline("default")
    stages = [entry for entry in file.stage if entry.use in {"rasterize", "layout"}]
    route = StageEntry(use="route", settings={"tasks": {"caption": wanted}})
    return Pipeline.from_file(file.model_copy(update={"stage": (*stages, route), "front_matter": False}))


def _regions(
    ref: SourceRef,
    page: Page,
    task: Task,
    parts: dict[str, str],
    kinds: Sequence[str] | None,
    box: Sequence[float] | None,
) -> Iterator[tuple[Sheet, Region, dict[str, str]]]:
    sheet = Sheet(page, ref)
    for region in page.regions:
        if kinds is not None and region.kind not in kinds:
            continue
        asked = region.model_copy(update={"reading": None})
        if box is None:
            yield sheet, asked, dict(parts)
            continue
        part = _part(box, region.box, ref.name)
        if task.name == "grounded-caption":
            view = View.of(Request(task, sheet, asked))
            yield sheet, asked, {**parts, "place": write_box(view.upright_box(part), view.frame)}
        else:
            yield sheet, asked.model_copy(update={"box": part}), dict(parts)


def _part(box: Sequence[float], whole: Box, name: str) -> Box:
    """A box given by a person, cut at the page's edges. Raises DP208 when nothing is left of it."""
    try:
        given = Box(*(float(value) for value in box))
    except (TypeError, ValueError) as error:
        raise DocpipeError("DP208", name, "a box is x0 y0 x1 y1 in points") from error
    part = Box(max(given.x0, whole.x0), max(given.y0, whole.y0), min(given.x1, whole.x1), min(given.y1, whole.y1))
    if not (part.x1 - part.x0 >= 1 and part.y1 - part.y0 >= 1):
        raise DocpipeError("DP208", name, f"the page is {whole.width:g} x {whole.height:g} points")
    return part


def _confident(reading: Reading, calibrated: bool, raw: bool) -> Reading:
    """A reading whose uncalibrated confidence is left out, or (where it is needed to rank) said to be just that."""
    if calibrated or reading.confidence is None:
        return reading
    if not raw:
        return reading.model_copy(update={"confidence": None})
    judged = isinstance(reading.content, AnswerContent) and reading.content.probability is not None
    verdict = reading.verdict.model_copy(update={"findings": (*reading.verdict.findings, CHOSEN if judged else RAW)})
    return reading.model_copy(update={"verdict": verdict})


def _rank(found: Found) -> tuple[bool, bool, float]:
    reading = found.reading
    return reading.content is not None, reading.verdict.status != "invalid", reading.confidence or 0.0


def as_ref(source: Asked, password: str | None = None) -> SourceRef:
    """A source to open: a PIL image as it is to be seen, at a point a pixel; DICOM as what its window shows."""
    if isinstance(source, Image.Image):
        return SourceRef("image", data=_png(ImageOps.exif_transpose(source)))
    if isinstance(source, bytes):
        ref = SourceRef("bytes", data=source, password=password)
    else:
        path = Path(source)
        ref = SourceRef(path.name, path=str(path), password=password)
    data = ref.read()
    return SourceRef(ref.name, data=_png(dicom_image(data, ref.name))) if is_dicom(data) else ref


def _png(image: Image.Image) -> bytes:
    kept = image if image.mode in {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"} else image.convert("RGB")
    held = io.BytesIO()
    kept.save(held, "PNG", compress_level=1)
    return held.getvalue()
