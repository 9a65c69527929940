"""`docpipe ask`, `detect` and `caption`: an image, the pages of a PDF or a part of one, asked by a prompt."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docpipe.cli.app import AsJson, Language, Model, Pages, Password, Quantize, app
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    from docpipe.asking import Answers

Image = Annotated[Path, typer.Argument(metavar="IMAGE", help="An image, a PDF, or a DICOM file (extra: dicom).")]
BoxOption = Annotated[
    str | None, typer.Option("--box", metavar="X0,Y0,X1,Y1", help="A part of the page, in points from the top left.")
]
Kinds = Annotated[
    str | None, typer.Option("--kinds", metavar="KIND,...", help="Ask the regions of these kinds, not whole pages.")
]
Masks = Annotated[
    str | None,
    typer.Option("--mask-decoder", metavar="FILE|URL", help="Weights for masks (vae-oid.npz), #sha256=… after it."),
]


class Length(StrEnum):
    """How long a caption is to be."""

    short = "short"
    normal = "normal"
    long = "long"


@app.command()
def ask(
    image: Image,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="A question, or a prompt such as `caption en`.")],
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Such as spatial or radiology; PROMPT fills its blank.")
    ] = None,
    model: Model = None,
    quantize: Quantize = None,
    language: Language = None,
    pages: Pages = None,
    kinds: Kinds = None,
    box: BoxOption = None,
    candidates: Annotated[int, typer.Option(min=1, help="Answers by beam search; the first that holds up.")] = 1,
    mask_decoder: Masks = None,
    password: Password = None,
    as_json: AsJson = False,
) -> None:
    """Print the answer to a question about an image; of a PDF an answer for each page, the surest first."""
    from docpipe import asking

    answers = asking.ask(
        image, prompt, task=task, model=model, quantize=quantize, language=language or "en", pages=pages,
        kinds=_names(kinds), box=_box(box), candidates=candidates, mask_decoder=mask_decoder, password=password,
    )  # fmt: skip
    _print(answers, as_json)


@app.command()
def detect(
    image: Image,
    things: Annotated[str, typer.Argument(metavar="THINGS", help='What to find: "a ; b".')],
    segment: Annotated[bool, typer.Option("--segment", help="Outline the things too.")] = False,
    model: Model = None,
    quantize: Quantize = None,
    pages: Pages = None,
    box: BoxOption = None,
    mask_decoder: Masks = None,
    password: Password = None,
    as_json: AsJson = False,
) -> None:
    """Print label and box of each thing found: x0 y0 x1 y1 in points, origin top left, tabs between."""
    from docpipe import asking

    answers = asking.detect(
        image, things, model=model, quantize=quantize, segment=segment, pages=pages, box=_box(box),
        mask_decoder=mask_decoder, password=password,
    )  # fmt: skip
    _print(answers, as_json, things=True)


@app.command()
def caption(
    image: Image,
    length: Annotated[Length, typer.Option(help="One phrase, a sentence, or several.")] = Length.normal,
    model: Model = None,
    quantize: Quantize = None,
    language: Language = None,
    pages: Pages = None,
    kinds: Kinds = None,
    box: BoxOption = None,
    password: Password = None,
    as_json: AsJson = False,
) -> None:
    """Print a caption of an image, of a part of it (--box), or of each page or figure of a PDF."""
    from docpipe import asking

    answers = asking.caption(
        image, model=model, quantize=quantize, length=length.value, language=language or "en", pages=pages,
        kinds=_names(kinds), box=_box(box), password=password,
    )  # fmt: skip
    _print(answers, as_json)


def _names(kinds: str | None) -> list[str] | None:
    return [kind.strip() for kind in kinds.split(",")] if kinds is not None else None


def _box(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(value) for value in text.replace(",", " ").split()]
    except ValueError as error:
        raise DocpipeError("DP208", text, "it is not four numbers") from error


def _print(answers: Answers, as_json: bool, things: bool = False) -> None:
    """Answers on standard output, what went wrong on standard error; exit code 1 when nothing could be answered."""
    from docpipe.document import AnswerContent, PictureContent

    several = len(answers) > 1
    for found in answers:
        if as_json:
            print(found.to_json(), flush=True)
            continue
        content = found.reading.content
        where = f"{found.region.id}\t" if several else ""
        if things and isinstance(content, AnswerContent):
            for thing in content.detections:
                numbers = "\t".join(f"{value:.2f}" for value in thing.box)
                print(f"{where}{thing.label}\t{numbers}", flush=True)
        else:
            long = content.description if isinstance(content, PictureContent) else None
            if text := long or found.text:
                print(f"{where}{text}", flush=True)
        if found.reading.verdict.status == "invalid" or content is None or _bannered(found.reading.verdict.findings):
            reasons = "; ".join(finding.message for finding in found.reading.verdict.findings)
            print(f"{found.source} {found.region.id}: {reasons or 'no answer'}", file=sys.stderr)
    for item in answers.errors:
        print(f"{item.code} {item.message}", file=sys.stderr)
    if answers.errors or not any(found.reading.content is not None for found in answers):
        raise typer.Exit(1)


def _bannered(findings: object) -> bool:
    """Whether a reading carries a warning that must be shown with it always."""
    from docpipe.checks.radiology import BANNER

    return isinstance(findings, tuple) and BANNER in findings
