"""Tesseract, when it is installed: for scripts that the networks of `ocr_models` have no letters of.

On every set of Latin text measured (benchmarks/ocr.py: modern English, receipts, roman type of 1668, Fraktur) the
networks make fewer errors, so for their scripts they are taken. They know Latin, Chinese, Japanese and Greek letters.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache

from PIL import Image

from docpipe.document import Box, Origin
from docpipe.engines import ocr_page
from docpipe.engines.base import Answer, Request, one_by_one
from docpipe.engines.ocr_lines import ReadLine
from docpipe.engines.ocr_region import keeps_lines, language_of, rows_in, text_answer, within
from docpipe.errors import DocpipeError
from docpipe.tasks import Task

MARGIN = 4.0
"""Points around a region: tesseract misreads letters at the very edge of an image."""

DEADLINE = 120.0
"""Seconds after which a region is given up."""

_NAMES = {
    "en": "eng", "de": "deu", "fr": "fra", "es": "spa", "it": "ita", "pt": "por", "nl": "nld", "pl": "pol", "cs": "ces",
    "sv": "swe", "da": "dan", "nb": "nor", "no": "nor", "fi": "fin", "hu": "hun", "ro": "ron", "tr": "tur", "la": "lat",
    "vi": "vie", "el": "ell", "zh": "chi_sim", "ja": "jpn",
}  # fmt: skip
_SCRIPTS = {
    "Cyrillic": {"ru": "rus", "uk": "ukr", "be": "bel", "bg": "bul", "sr": "srp", "mk": "mkd", "kk": "kaz"},
    "Korean": {"ko": "kor"},
    "Arabic": {"ar": "ara", "fa": "fas", "ur": "urd", "ps": "pus"},
    "Hebrew": {"he": "heb", "yi": "yid"},
    "Thai": {"th": "tha"},
    "Indic": {
        "hi": "hin", "mr": "mar", "ne": "nep", "sa": "san", "bn": "ben", "ta": "tam", "te": "tel", "kn": "kan",
        "ml": "mal", "gu": "guj", "pa": "pan", "si": "sin",
    },
    "Georgian": {"ka": "kat"},
    "Armenian": {"hy": "hye"},
    "Ethiopic": {"am": "amh"},
    "Khmer": {"km": "khm"},
    "Lao": {"lo": "lao"},
    "Burmese": {"my": "mya"},
}  # fmt: skip
"""For each script that the networks lack, its languages with tesseract's names for them."""


def script_of(language: str) -> str | None:
    """The script of a language that the networks have no letters of, or None when they can read it."""
    code = language.lower().replace("_", "-").split("-")[0]
    return next((script for script, languages in _SCRIPTS.items() if code in languages), None)


def name_of(language: str) -> str:
    """Tesseract's name for a language given as a code like "de" or "de-AT", or as tesseract's own name."""
    code = language.lower().replace("_", "-").split("-")[0]
    names = _NAMES | {code: name for languages in _SCRIPTS.values() for code, name in languages.items()}
    return names.get(code, language)


@cache
def installed() -> frozenset[str]:
    """The languages that an installed tesseract has data for; empty when there is none."""
    if shutil.which("tesseract") is None:
        return frozenset()
    listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=False, timeout=30)
    return frozenset(line.strip() for line in listed.stdout.splitlines()[1:])


def is_installed(language: str) -> bool:
    """Whether tesseract is there with its data for a language."""
    return name_of(language) in installed()


class TesseractEngine:
    """Reads the `text` task with the tesseract program, each region by itself. language: instead of the document's."""

    name = "tesseract"

    def __init__(self, *, language: str | None = None) -> None:
        self.language = language

    def can_read(self, task: Task) -> bool:
        return task.name == "text" and bool(installed())

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        return one_by_one(self.name, requests, self.answer)

    def answer(self, request: Request) -> Answer:
        """What tesseract says to one request."""
        sheet, region = request.sheet, request.region
        language = self.language or language_of(request)
        name = name_of(language)
        around = within(region.box.grown(MARGIN), sheet)
        origin = Origin(engine=self.name, checkpoint=name, crop=sheet.clip(around, ocr_page.DPI).record)
        if name not in installed():
            return Answer(origin, reason=f"tesseract has no data for the language {language}")
        lines = keeps_lines(sheet, region)
        reading = ocr_page.read_part(sheet, around, lambda image: rows_of(image, name, one_block=not lines))
        return text_answer(origin, rows_in(reading, sheet, region), lines)


def rows_of(image: Image.Image, name: str, *, one_block: bool) -> list[list[ReadLine]]:
    """The lines of an upright image in tesseract's order. one_block: it is a single block of text.

    name: of the language. Raises DP304 when the program fails.
    """
    data = io.BytesIO()
    image.save(data, "PNG")
    command = ["tesseract", "stdin", "stdout", "-l", name, "--psm", "6" if one_block else "3", "tsv"]
    env = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(command, input=data.getvalue(), capture_output=True, check=False, env=env, timeout=DEADLINE)
    if done.returncode:
        raise DocpipeError("DP304", "tesseract", done.stderr.decode(errors="replace").strip().split("\n")[-1])
    return list(_rows(done.stdout.decode("utf-8", errors="replace")))


def _rows(tsv: str) -> Iterator[list[ReadLine]]:
    """Lines of tesseract's TSV: level, page, block, paragraph, line, word, left, top, width, height, conf, text."""
    lines: dict[tuple[str, ...], list[tuple[str, Box, float]]] = {}
    for row in tsv.splitlines()[1:]:
        fields = row.split("\t")
        if len(fields) < 12 or fields[0] != "5" or not fields[11].strip():
            continue
        x, y, width, height, sure = (float(v) for v in fields[6:11])
        box = Box(x, y, x + width, y + height)
        lines.setdefault(tuple(fields[1:5]), []).append((fields[11].strip(), box, max(0.0, sure) / 100))
    for words in lines.values():
        texts, boxes, certainties = zip(*words, strict=True)
        yield [ReadLine(texts, boxes, sum(certainties) / len(certainties), certainties)]
