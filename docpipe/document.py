"""The data model: what docpipe says about a document.

Everything else in docpipe depends on this module; it imports pydantic alone. All models are frozen: a stage
returns a new one (`model_copy`) and never changes what it was given.

Units: boxes are in points (1/72 inch) on the page as displayed, origin top left, y down. An image file has
72/dpi points a pixel, and one point a pixel when it states no resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

# A box is part of the model: whoever imports the model from here finds it, too.
from docpipe.box import Box as Box
from docpipe.box import Coordinate

if TYPE_CHECKING:
    import pandas
    from music21.stream import Score
    from rdkit.Chem import Mol

SCHEMA_VERSION: Final = "1.0"

Kind = Literal[
    "title", "heading", "paragraph", "list_item", "caption", "footnote", "header", "footer",
    "table", "molecule", "score", "chart", "formula", "code", "picture", "other",
]  # fmt: skip
"""What a region is. `header` and `footer` are running heads and feet; `other` is text of no better kind."""

TEXT_KINDS: frozenset[Kind] = frozenset(
    ("title", "heading", "paragraph", "list_item", "caption", "footnote", "header", "footer", "code", "other")
)

Status = Literal["complete", "partial", "failed", "skipped"]
VerdictStatus = Literal["valid", "repaired", "invalid", "unchecked"]

Confidence = Annotated[float, Field(ge=0, le=1), PlainSerializer(lambda v: round(v, 3), return_type=float)]


class Model(BaseModel):
    """Base of every record: frozen, and an unknown field is a mistake rather than silently dropped."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# --- what was read -----------------------------------------------------------------------------------------


class Word(Model):
    """One word with its place. `style` holds any of bold, italic, superscript, subscript, monospace."""

    text: str
    box: Box
    confidence: Confidence | None = None
    style: tuple[str, ...] = ()


class TextContent(Model):
    """Running text. `text` is the canonical string; `words` are its words with their boxes, in reading order."""

    type: Literal["text"] = "text"
    text: str
    words: tuple[Word, ...] = ()
    language: str | None = None


class Cell(Model):
    """A table cell: 0-based row and column of its top left corner, spans of at least 1."""

    row: int = Field(ge=0)
    column: int = Field(ge=0)
    row_span: int = Field(default=1, ge=1)
    column_span: int = Field(default=1, ge=1)
    text: str = ""
    header: bool = False
    box: Box | None = None


class TableContent(Model):
    """A table. `html` is the canonical string; `cells` is the same table as a list in reading order."""

    type: Literal["table"] = "table"
    html: str
    rows: int = Field(default=0, ge=0)
    columns: int = Field(default=0, ge=0)
    cells: tuple[Cell, ...] = ()

    def to_pandas(self) -> pandas.DataFrame:
        """The table as a DataFrame: header rows become column labels, a spanning cell fills its whole span.

        Raises ImportError when pandas is not installed.
        """
        import pandas as pd

        grid = [["" for _ in range(self.columns)] for _ in range(self.rows)]
        for cell in self.cells:
            for row in range(cell.row, min(cell.row + cell.row_span, self.rows)):
                for column in range(cell.column, min(cell.column + cell.column_span, self.columns)):
                    grid[row][column] = cell.text
        head = self.header_rows()
        if head == 0:
            return pd.DataFrame(grid)
        labels = [" ".join(dict.fromkeys(grid[r][c] for r in range(head) if grid[r][c])) for c in range(self.columns)]
        return pd.DataFrame(grid[head:], columns=labels)

    def header_rows(self) -> int:
        """How many rows at the top hold header cells only."""
        count = 0
        for row in range(self.rows):
            cells = [c for c in self.cells if c.row <= row < c.row + c.row_span]
            if not cells or not all(c.header for c in cells):
                break
            count += 1
        return count


class MoleculeContent(Model):
    """A molecule. `smiles` is canonical when the verdict is valid; the other forms are derived from it."""

    type: Literal["molecule"] = "molecule"
    smiles: str
    molblock: str | None = None
    inchi: str | None = None
    inchikey: str | None = None
    formula: str | None = None

    def to_rdkit(self) -> Mol:
        """The molecule as an RDKit Mol. Raises ValueError when the SMILES does not parse."""
        from rdkit import Chem

        mol = Chem.MolFromSmiles(self.smiles)
        if mol is None:
            raise ValueError(f"not a valid SMILES: {self.smiles!r}")
        return mol


class Measure(Model):
    """A measure of a score: its number, first and last line of `kern` (0-based), length in quarter notes."""

    number: int
    first_line: int
    last_line: int
    quarters: float


class ScoreContent(Model):
    """Music. `kern` is the canonical **kern text; the rest is read off it."""

    type: Literal["score"] = "score"
    kern: str
    spines: int = 0
    clefs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()

    def to_music21(self) -> Score:
        """The score as a music21 stream. Raises music21's own error when the **kern does not parse."""
        from music21 import converter

        return converter.parse(self.kern, format="humdrum")  # type: ignore[return-value]


class PictureContent(Model):
    """A picture: what it was told apart as, and its words for a person who cannot see it."""

    type: Literal["picture"] = "picture"
    figure: Literal["photo", "chart", "molecule", "score", "formula", "diagram", "other"] = "other"
    alt: str | None = None
    description: str | None = None


class Finding(Model):
    """One reason behind a verdict: a stable code, a sentence a person can act on, and where it applies."""

    code: str
    message: str
    where: str | None = None


class Detection(Model):
    """A thing found in an image: its label, box, and (from segmentation) a mask as run lengths.

    `mask` counts pixels of 0, 1, 0, … row by row over `mask_size` (width, height), which covers the box.
    """

    label: str
    box: Box
    score: Confidence | None = None
    mask: tuple[int, ...] | None = None
    mask_size: tuple[int, int] | None = None


class AnswerContent(Model):
    """The answer to a question or to a prompt about an image. `probability`: that a statement asked about is true."""

    type: Literal["answer"] = "answer"
    answer: str
    question: str | None = None
    probability: Confidence | None = None
    detections: tuple[Detection, ...] = ()


Content = Annotated[
    TextContent | TableContent | MoleculeContent | ScoreContent | PictureContent | AnswerContent,
    Field(discriminator="type"),
]


class Verdict(Model):
    """Whether a reading holds up, by the library of its own domain. `original` keeps what a repair changed."""

    status: VerdictStatus = "unchecked"
    findings: tuple[Finding, ...] = ()
    original: str | None = None


class Crop(Model):
    """The pixels an engine saw: their box, resolution and SHA-256 of the RGB bytes (null when none were needed)."""

    box: Box
    dpi: Coordinate | None = None
    sha256: str | None = None


class Origin(Model):
    """Where a reading comes from."""

    engine: str
    checkpoint: str | None = None
    digest: str | None = None
    prompt: str | None = None
    crop: Crop | None = None
    tokens: int | None = None


class PartConfidence(Model):
    """How sure a part of a reading is. `where`: "atom 3", "row 2, column 0", "line 7, spine 1" or "measure 4", counted
    from 0 in the content. Of an atom, cell or note its least probable token, uncalibrated: it says where to look first.
    Of a measure (its index in `measures`) calibrated: how often such measures are exactly right; its `text` is empty.
    """

    where: str
    text: str
    confidence: Confidence


class Reading(Model):
    """What was read of a region, whether it holds up, how sure (null: not estimated), and by whom."""

    content: Content | None = None
    verdict: Verdict = Verdict()
    confidence: Confidence | None = None
    part_confidences: tuple[PartConfidence, ...] = ()
    origin: Origin


# --- document, page, region --------------------------------------------------------------------------------


class ErrorItem(Model):
    """Something that went wrong, with the code that `docpipe.errors` explains."""

    code: str
    message: str
    page: int | None = None
    region: str | None = None


class Region(Model):
    """A part of a page. `order` counts from 0 in reading order; `level` is 1 for the highest heading or list.

    `parent`, `caption` and `continues` hold ids of other regions: the figure a caption belongs to, the caption of
    a figure or table, the region on an earlier page or column that this one goes on from.
    """

    id: str
    kind: Kind
    box: Box
    order: int = 0
    level: int | None = None
    reading: Reading | None = None
    alternatives: tuple[Reading, ...] = ()
    parent: str | None = None
    caption: str | None = None
    continues: str | None = None

    @property
    def text(self) -> str:
        """The canonical string of what was read: text, HTML, SMILES, **kern, alt text or answer; else ''."""
        return canonical(self.reading.content) if self.reading else ""


def canonical(content: Content | None) -> str:
    """The canonical string of a content; '' for None."""
    match content:
        case TextContent():
            return content.text
        case TableContent():
            return content.html
        case MoleculeContent():
            return content.smiles
        case ScoreContent():
            return content.kern
        case PictureContent():
            return content.alt or ""
        case AnswerContent():
            return content.answer
        case None:
            return ""


class Page(Model):
    """A page as displayed. `rotation` is the clockwise turn (0, 90, 180, 270) that would make its content upright,
    `skew` the small clockwise turn in degrees that would level its lines; both were undone for reading.
    """

    number: int = Field(ge=1)
    width: Coordinate
    height: Coordinate
    rotation: int = 0
    skew: Coordinate = 0.0
    status: Status = "complete"
    regions: tuple[Region, ...] = ()
    error: ErrorItem | None = None

    def replace_regions(self, regions: list[Region] | tuple[Region, ...]) -> Page:
        """A copy of the page with these regions."""
        return self.model_copy(update={"regions": tuple(regions)})


class SourceInfo(Model):
    """The file a document was read from. `pages` is null when the file could not say."""

    name: str
    sha256: str
    media_type: str
    pages: int | None = None


class Section(Model):
    """A heading and its place in the section tree; `region` is the heading's id."""

    title: str
    level: int
    region: str
    sections: tuple[Section, ...] = ()


class Metadata(Model):
    """What is known of the document as a whole, from the file's own fields or read off its pages."""

    title: str | None = None
    authors: tuple[str, ...] = ()
    abstract: str | None = None
    language: str | None = None
    created: str | None = None
    producer: str | None = None
    sections: tuple[Section, ...] = ()
    references: tuple[str, ...] = ()


class Document(Model):
    """A converted document: every page of its source, in order, each with a status."""

    schema_version: Literal["1.0"] = SCHEMA_VERSION
    source: SourceInfo
    status: Status = "complete"
    errors: tuple[ErrorItem, ...] = ()
    metadata: Metadata = Metadata()
    pages: tuple[Page, ...] = ()

    def regions(self, *kinds: str) -> Iterator[Region]:
        """Regions of all pages in reading order, of the given kinds or of every kind."""
        for page in self.pages:
            for region in page.regions:
                if not kinds or region.kind in kinds:
                    yield region

    def _contents(self, kind: type[Any]) -> list[Any]:
        readings = (region.reading for region in self.regions())
        return [r.content for r in readings if r is not None and isinstance(r.content, kind)]

    @property
    def tables(self) -> list[TableContent]:
        """Every table that was read."""
        return self._contents(TableContent)

    @property
    def molecules(self) -> list[MoleculeContent]:
        """Every molecule that was read."""
        return self._contents(MoleculeContent)

    @property
    def scores(self) -> list[ScoreContent]:
        """Every score that was read."""
        return self._contents(ScoreContent)
