"""document.hocr: the words with their boxes in hOCR 1.2, which OCR tools read.

Boxes are whole pixels of the page as displayed at `DPI`, origin top left. A line is what stands side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from docpipe.document import Box, Page, Region, TextContent, Word
from docpipe.export.atomic import write_whole
from docpipe.export.crops import file_name
from docpipe.export.json import Pages
from docpipe.export.runs import one_line
from docpipe.source import SourceRef

FILE = "document.hocr"
DPI = 200.0

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
<head>
<title>{title}</title>
<meta http-equiv="Content-Type" content="text/html;charset=utf-8" />
<meta name="ocr-system" content="docpipe" />
<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word ocr_photo ocr_table" />
</head>
<body>
"""

_CLASSES = {"table": "ocr_table", "picture": "ocr_photo", "chart": "ocr_photo", "molecule": "ocr_chem"}


def write(document: Pages, folder: Path, source: SourceRef | None = None) -> list[Path]:  # noqa: ARG001
    """Write document.hocr. Raises DP401."""
    return [write_whole(folder / FILE, render(document))]


def render(document: Pages) -> Iterator[str]:
    """The file in pieces, a page each."""
    yield _HEAD.format(title=_text(document.source.name))
    for page in document.pages:
        name = _text(document.source.name).replace(";", " ")
        yield (
            f'<div class="ocr_page" id="page_{page.number}" title="image &quot;{name}&quot;; '
            f'{_box(Box(0, 0, page.width, page.height))}; ppageno {page.number - 1}; scan_res {DPI:.0f} {DPI:.0f}">\n'
        )
        for region in sorted(page.regions, key=lambda r: r.order):
            yield _area(region, page)
        yield "</div>\n"
    yield "</body>\n</html>\n"


def _area(region: Region, page: Page) -> str:
    content = region.reading.content if region.reading else None
    name = file_name(region.id)
    kind = _CLASSES.get(region.kind, "ocr_carea")
    if not isinstance(content, TextContent):
        return f'<div class="{kind}" id="{name}" title="{_box(region.box)}"></div>\n'
    words = content.words or (Word(text=one_line(content.text), box=region.box),)
    rows = "".join(
        f'<span class="ocr_line" id="{name}_l{number}" title="{_box(_around(line))}">'
        + " ".join(_word(word, f"{name}_l{number}_w{place}") for place, word in enumerate(line))
        + "</span>\n"
        for number, line in enumerate(lines_of(words, page.rotation))
    )
    language = f' lang="{_text(content.language)}"' if content.language else ""
    return (
        f'<div class="{kind}" id="{name}" title="{_box(region.box)}"><p class="ocr_par" id="{name}_p"{language} '
        f'title="{_box(region.box)}">\n{rows}</p></div>\n'
    )


def lines_of(words: Sequence[Word], rotation: int = 0) -> list[list[Word]]:
    """Words in reading order as lines: a word that does not go on beside the one before begins a new one.

    rotation: of the page; at 90 and 270 degrees lines run down or up the page as displayed.
    """
    lines: list[list[Word]] = []
    for word in words:
        if lines and _beside(lines[-1][-1].box, word.box, rotation):
            lines[-1].append(word)
        else:
            lines.append([word])
    return lines


def _beside(first: Box, second: Box, rotation: int) -> bool:
    if rotation % 180:
        shared = min(first.x1, second.x1) - max(first.x0, second.x0)
        return shared > 0.5 * min(first.width, second.width)
    shared = min(first.y1, second.y1) - max(first.y0, second.y0)
    return shared > 0.5 * min(first.height, second.height)


def _word(word: Word, name: str) -> str:
    sure = f"; x_wconf {round(100 * word.confidence)}" if word.confidence is not None else ""
    return f'<span class="ocrx_word" id="{name}" title="{_box(word.box)}{sure}">{_text(word.text)}</span>'


def _around(words: Sequence[Word]) -> Box:
    return Box(
        min(w.box.x0 for w in words),
        min(w.box.y0 for w in words),
        max(w.box.x1 for w in words),
        max(w.box.y1 for w in words),
    )


def _box(box: Box) -> str:
    return "bbox " + " ".join(str(max(0, round(side * DPI / 72))) for side in box)


def _text(said: str) -> str:
    return escape(one_line(said), quote=True)
