"""What the review page asks for: documents, pages, regions, their pictures; and what it sends: people's decisions.

Everything recognised goes out as JSON or as a picture; no HTML is made here, so nothing that was read can act as page.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from docpipe.checks import Checked
from docpipe.document import (
    MoleculeContent,
    Page,
    PictureContent,
    Reading,
    Region,
    ScoreContent,
    TableContent,
    TextContent,
    canonical,
)
from docpipe.errors import DocpipeError
from docpipe.export.corrections import Action, Correction, add_correction, corrected
from docpipe.run.journal import Entry
from docpipe.serve import drawing
from docpipe.serve.library import Item, Library, Shelved, Unfinished, head_of
from docpipe.serve.workshop import DrawingError, Workshop
from docpipe.tasks import get_task

LABEL = 90
"""Characters of a region's text in a list."""

SURE = 0.8
"""Confidence below which a reading is worth a person's look."""

LONGEST_EDIT = 500_000
"""Characters of an edited reading."""

PAGE_DPI = (50, 300)

Written = Literal["text", "table", "molecule", "score", "picture", "answer"]

_WRITES: dict[str, Written] = {"table": "table", "molecule": "molecule", "score": "score"}
_TASKS: dict[str, str] = {
    "text": "text", "table": "table", "molecule": "molecule", "score": "score", "picture": "caption",
    "answer": "formula",
}  # fmt: skip
"""The task whose parser and check judge what a person writes, by the type of content."""


class Edit(BaseModel):
    """What a person writes in place of a reading: its canonical string (text, HTML, SMILES, **kern, alt text)."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(max_length=LONGEST_EDIT)


class Decision(BaseModel):
    """A decision on a region. value: with "edit", what takes the reading's place."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    value: str | None = Field(default=None, max_length=LONGEST_EDIT)


class Drawn(BaseModel):
    """Something to draw that is not saved yet: a SMILES or a **kern text."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["molecule", "score"]
    value: str = Field(max_length=LONGEST_EDIT)


Name = Annotated[str, Path(max_length=200, pattern=r"^[^/\\\x00]+$")]
Id = Annotated[str, Path(max_length=100, pattern=r"^[^/\\\x00]+$")]


def review_routes(shelf: Library | Any, workshop: Workshop) -> APIRouter:
    """The routes on a shelf of documents. shelf: a Library, or what gives one for each document (`get`, `items`)."""
    routes = APIRouter(tags=["documents"])

    def item(name: str) -> Item:
        found: Item | None = shelf.get(name)
        if found is None:
            raise HTTPException(404, f"no document is called {name}")
        return found

    def page_of(name: str, number: int) -> tuple[Item, Page]:
        found = item(name)
        page = found.page(number)
        if page is None:
            raise HTTPException(404, f"{name} has no page {number} (yet)")
        return found, page

    def region_of(name: str, region_id: str) -> tuple[Item, Page, Region]:
        found = item(name)
        number = region_id[1:].partition(".")[0]
        if region_id.startswith("p") and number.isdigit() and (page := found.page(int(number))) is not None:
            for region in page.regions:
                if region.id == region_id:
                    return found, page, region
        raise HTTPException(404, f"{name} has no region {region_id}")

    @routes.get("/documents")
    def documents() -> list[dict[str, Any]]:
        """Every document: finished, being worked on, waiting, or refused."""
        return [_listed(one) for one in shelf.items()]

    @routes.get("/documents/{name}")
    def document(name: Name) -> dict[str, Any]:
        """What is said of a document as a whole, and its pages' sizes and statuses."""
        found = item(name)
        head = head_of(found)
        said = head.model_dump(mode="json", exclude={"pages"}) if head is not None else {"status": "running"}
        pages = [{"number": p.number, "width": p.width, "height": p.height, "status": p.status} for p in found.sizes()]
        return said | {"name": name, "pages": pages, "has_source": found.source() is not None,
                       "can_correct": isinstance(found, Shelved)}  # fmt: skip

    @routes.get("/documents/{name}/regions")
    def regions(name: Name) -> list[dict[str, Any]]:
        """Every region of a document in a line each: what a list shows and filters by."""
        found = item(name)
        decided = found.corrections()
        return [
            _summary(region, page, decided)
            for page in found.pages()
            for region in sorted(page.regions, key=lambda r: r.order)
        ]

    @routes.get("/documents/{name}/pages/{number}")
    def page(name: Name, number: int) -> dict[str, Any]:
        """A page with its regions, people's decisions laid over what was read."""
        found, page = page_of(name, number)
        decided = found.corrections()
        plain = page.model_dump(mode="json", exclude={"regions"})
        return plain | {"regions": [_shown(region, page, decided) for region in page.regions]}

    @routes.get("/documents/{name}/pages/{number}/image")
    def page_image(
        name: Name, number: int, dpi: Annotated[int, Query(ge=PAGE_DPI[0], le=PAGE_DPI[1])] = 110
    ) -> Response:
        """A page as it is displayed, as JPEG; 404 when the source is not there any more."""
        found, _ = page_of(name, number)
        source = found.source()
        if source is None:
            raise HTTPException(404, "the file that the document was made from is not there")
        return _picture(workshop, ("page", source.path, number, dpi), "image/jpeg", drawing.page_image, source, number,
                        float(dpi))  # fmt: skip

    @routes.get("/documents/{name}/regions/{region_id}/crop")
    def crop(name: Name, region_id: Id) -> Response:
        """A region's pixels as PNG."""
        found, page, region = region_of(name, region_id)
        source = found.source()
        if source is None:
            raise HTTPException(404, "the file that the document was made from is not there")
        bare = page.replace_regions(())
        key = ("crop", source.path, page.number, tuple(region.box), page.rotation)
        return _picture(workshop, key, "image/png", drawing.crop_image, source, bare, region.model_copy(
            update={"reading": None, "alternatives": ()}), 200.0)  # fmt: skip

    @routes.get("/documents/{name}/regions/{region_id}/drawing")
    def drawn_region(name: Name, region_id: Id, reading: Annotated[int, Query(ge=-1, le=50)] = -1) -> Response:
        """What was read, drawn in its own notation, as SVG: a molecule or a score. reading: which alternative; -1 is
        the reading itself."""
        found, page, region = region_of(name, region_id)
        region = corrected(region, page, found.corrections().get(region.id))
        readings = [*region.alternatives, *([region.reading] if region.reading else [])]
        if reading >= len(region.alternatives) or not readings:
            raise HTTPException(404, "there is no such reading")
        content = readings[reading].content
        if isinstance(content, MoleculeContent):
            return _draw(workshop, "molecule", content.smiles)
        if isinstance(content, ScoreContent):
            return _draw(workshop, "score", content.kern)
        raise HTTPException(404, "it is neither a molecule nor a score")

    @routes.post("/draw")
    def draw(wanted: Drawn) -> Response:
        """A SMILES or **kern text drawn as SVG; 422 with the reason when it cannot be."""
        return _draw(workshop, wanted.type, wanted.value)

    @routes.post("/notes")
    def notes(wanted: Drawn) -> list[tuple[float, float, int]]:
        """A **kern text as notes to listen to: onset and length in seconds, MIDI pitch."""
        try:
            return workshop.draw(("notes", wanted.value), drawing.score_notes, wanted.value)
        except DrawingError as error:
            raise HTTPException(422, str(error)) from error

    @routes.post("/documents/{name}/regions/{region_id}/check")
    def check(name: Name, region_id: Id, edit: Edit) -> dict[str, Any]:
        """What the checks say of an edit, which is not saved."""
        _, _, region = region_of(name, region_id)
        judged = judge(region, edit.value)
        return {
            "content": judged.content.model_dump(mode="json") if judged.content is not None else None,
            "verdict": judged.verdict.model_dump(mode="json"),
            "value": canonical(judged.content),
        }

    @routes.post("/documents/{name}/regions/{region_id}/decision")
    def decide(name: Name, region_id: Id, decision: Decision) -> dict[str, Any]:
        """Save a decision into corrections.jsonl; the region as it is shown from now on. 409 while it is being read."""
        found, page, region = region_of(name, region_id)
        if isinstance(found, Unfinished):
            raise HTTPException(409, "the document is still being read")
        if (decision.action == "edit") != (decision.value is not None):
            raise HTTPException(422, 'an edit, and only an edit, has a "value"')
        content = judge(region, decision.value).content if decision.value is not None else None
        add_correction(
            found.folder,
            Correction(
                document=found.document.source.name,
                source=found.document.source.sha256,
                page=page.number,
                region=region.id,
                kind=region.kind,
                box=region.box,
                action=decision.action,
                content=content,
                time=datetime.now(UTC).isoformat(timespec="seconds"),
            ),
        )
        return _shown(region, page, found.corrections())

    return routes


def written_type(region: Region) -> Written:
    """The type of content that a person writes for a region."""
    content = region.reading.content if region.reading else None
    if region.kind in _WRITES:
        return _WRITES[region.kind]
    if content is not None:
        return content.type
    return "picture" if region.kind in {"picture", "chart"} else "text"


def judge(region: Region, value: str) -> Checked:
    """What a person wrote for a region, parsed and checked as a model's answer is, but for its pixels: who looks at the
    page knows better than they what is on it."""
    task = get_task(_TASKS[written_type(region)])
    content = TextContent(text=value) if written_type(region) == "text" else task.parse(value)
    return task.check(content, None)


def is_doubtful(region: Region) -> bool:
    """Whether a region is worth a person's look: invalid, unread where it should be, or read with little confidence."""
    reading = region.reading
    if reading is None:
        return False
    unread = region.kind in _WRITES and isinstance(reading.content, PictureContent | None)
    unsure = reading.confidence is not None and reading.confidence < SURE
    return unread or unsure or reading.verdict.status == "invalid"


def _listed(one: Item | Entry) -> dict[str, Any]:
    if isinstance(one, Entry):
        return {"name": one.folder, "state": one.state, "error": one.outcome.get("error")}
    if isinstance(one, Unfinished):
        return {"name": one.name, "state": "running", "pages": one.entry.pages, "done": len(one.sizes())}
    document = one.document
    counts = Counter(size.status for size in one.sizes())
    return {
        "name": one.name,
        "state": "finished",
        "status": document.status,
        "source": document.source.name,
        "title": document.metadata.title,
        "pages": sum(counts.values()),
        "statuses": dict(counts),
    }


def _summary(region: Region, page: Page, decided: dict[str, Correction]) -> dict[str, Any]:
    now = corrected(region, page, decided.get(region.id))
    reading = now.reading
    return {
        "id": region.id,
        "page": page.number,
        "kind": region.kind,
        "order": region.order,
        "box": [round(side, 1) for side in region.box],
        "verdict": reading.verdict.status if reading else "unchecked",
        "confidence": reading.confidence if reading else None,
        "label": _label(now)[:LABEL],
        "doubtful": now is region and is_doubtful(region),
        "action": decided[region.id].action if now is not region else None,
    }


def _label(region: Region) -> str:
    """A region in a line: its text, of a table the cells'."""
    content = region.reading.content if region.reading else None
    text = " ".join(cell.text for cell in content.cells) if isinstance(content, TableContent) else region.text
    return " ".join(text.split())


def _shown(region: Region, page: Page, decided: dict[str, Correction]) -> dict[str, Any]:
    now = corrected(region, page, decided.get(region.id))
    plain: dict[str, Any] = now.model_dump(mode="json")
    for reading in (plain["reading"], *plain["alternatives"]):
        if reading is not None and reading["content"] is not None:
            _lighten(reading["content"])
    return plain | _summary(region, page, decided) | {
        "writes": written_type(region),
        "value": now.text,
        "as_read": _brief(region.reading) if now is not region else None,
    }  # fmt: skip


def _lighten(content: dict[str, Any]) -> None:
    """Leave out what a page of the browser does not show: word boxes are most of a page."""
    content.pop("words", None)
    content.pop("molblock", None)


def _brief(reading: Reading | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    return {"value": canonical(reading.content), "verdict": reading.verdict.status, "confidence": reading.confidence}


def _draw(workshop: Workshop, kind: str, value: str) -> Response:
    work = drawing.molecule_svg if kind == "molecule" else drawing.score_svg
    try:
        svg = workshop.draw((kind, value), work, value)
    except DrawingError as error:
        raise HTTPException(422, str(error)) from error
    return Response(svg, media_type="image/svg+xml")


def _picture(workshop: Workshop, key: Any, media: str, work: Any, *given: Any) -> Response:
    try:
        data: bytes = workshop.draw(key, work, *given)
    except DrawingError as error:
        raise HTTPException(422, str(error)) from error
    return Response(data, media_type=media, headers={"Cache-Control": "private, max-age=600"})


def coded(error: DocpipeError) -> int:
    """The HTTP status of a coded error."""
    return {"input": 422, "user": 404, "machine": 503}.get(error.entry.fault, 500)
