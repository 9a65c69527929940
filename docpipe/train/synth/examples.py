"""What every synthesizer gives when it is asked for files: an image with its truth. One registry of them all.

A synthesizer is a function `(seed, start, options) -> endless iterator of Example`, number i depending on seed, i and
options alone. Those of docpipe are in SYNTHESIZERS as "module:function"; nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from docpipe.errors import DocpipeError


@dataclass(frozen=True)
class Options:
    """noise: 0 clean to 1 as worn as scans. fonts, smiles: a folder each, else DOCPIPE_FONTS and DOCPIPE_SMILES."""

    noise: float = 1.0
    fonts: str | None = None
    smiles: str | None = None


@dataclass(frozen=True)
class Example:
    """pixels: uint8 [height, width] grey or [height, width, 3]. truth: whatever JSON can hold."""

    pixels: np.ndarray
    truth: dict[str, Any]


Synthesizer = Callable[[int, int, Options], Iterator[Example]]

SYNTHESIZERS: dict[str, str] = {
    "figure-kinds": "docpipe.train.synth.examples:figure_kinds",
    "molecules": "docpipe.train.synth.examples:molecules",
    "scenes": "docpipe.train.synth.examples:scenes",
    "scores": "docpipe.train.synth.examples:scores",
    "tables": "docpipe.train.synth.examples:tables",
    "text": "docpipe.train.synth.examples:text",
}


def synthesizer(name: str) -> Synthesizer:
    """The synthesizer of that name, or of "package.module:function". Raises DP601 when there is none."""
    module, _, function = SYNTHESIZERS.get(name, name).partition(":")
    try:
        made: Synthesizer = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        if name in SYNTHESIZERS:
            raise
        raise DocpipeError("DP601", name, "there are " + ", ".join(sorted(SYNTHESIZERS))) from error
    return made


def molecules(seed: int, start: int, options: Options) -> Iterator[Example]:
    """Drawn molecules of up to 40 heavy atoms, with groups as letters, circles, wedges, captions and wear.

    truth: smiles, written (image-ordered; groups drawn as letters are tokens of docpipe.notation.groups), atoms
    [{symbol, x, y}], bonds.

    Without SMILES lists they are put together from those few that come with RDKit. Raises DP602.
    """
    from docpipe.train.synth import molecules as synth
    from docpipe.train.synth.smiles_pool import Pool, read_smiles

    places = [Path(p) for p in (options.smiles or os.environ.get("DOCPIPE_SMILES") or _rdkit_lists()).split(":")]
    try:
        found = read_smiles(places)
    except OSError as error:
        raise DocpipeError("DP602", str(error.filename or places[0]), "the SMILES lists cannot be read") from error
    if not found:
        raise DocpipeError("DP602", ", ".join(map(str, places)), "no SMILES lists (*.smi, *.smi.gz) there")
    fonts = synth.fonts_in(Path(options.fonts)) if options.fonts else synth.fonts_in(None)
    pool = Pool(found, low=3, high=40)
    for one in synth.molecules(pool, seed, start, side=320, fonts=fonts, bond=(14.0, 24.0), noise=options.noise,
                               habits=True):  # fmt: skip
        atoms = [
            {"symbol": label, "x": round(float(x), 1), "y": round(float(y), 1)}
            for label, (x, y) in zip(one.labels, one.places, strict=True)
        ]
        yield Example(
            one.pixels,
            {"smiles": one.smiles, "written": one.written, "atoms": atoms, "bonds": [list(b) for b in one.bonds]},
        )


def _rdkit_lists() -> str:
    from rdkit import RDConfig

    return str(Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi")


def scores(seed: int, start: int, options: Options) -> Iterator[Example]:
    """Printed systems of piano music and single staves. truth: kern."""
    from docpipe.train.synth.scores import systems

    for one in systems(seed, start, noise=options.noise, fonts=options.fonts):
        yield Example(one.pixels, {"kern": one.kern})


def scenes(seed: int, start: int, options: Options) -> Iterator[Example]:
    """Coloured shapes, charts and pages. truth: kind, things with boxes, captions in three lengths, one question."""
    from docpipe.train.synth import scenes as synth
    from docpipe.train.synth.scene.asking import caption, description, short_caption
    from docpipe.train.synth.scene.questions import question

    for number, one in enumerate(synth.scenes(seed, start, noise=options.noise), start):
        things = [{"name": t.name, "colour": t.colour, "box": [round(float(v), 1) for v in t.box]} for t in one.things]
        says = {"short": short_caption, "caption": caption, "description": description}
        said = {name: "".join(text for text, _ in say(one)).strip() for name, say in says.items()}
        asked = question(one, random.Random(f"scenes:question:{seed}:{number}"))
        truth = {"kind": one.kind, "things": things, **said, "question": asked.prompt, "answer": asked.text.strip()}
        yield Example(one.pixels, truth)


def figure_kinds(seed: int, start: int, options: Options) -> Iterator[Example]:
    """Figures to be told apart, in a white square. truth: kind (molecule, score, chart, photo, table, text, other)."""
    from docpipe.train.synth import figure_kinds as synth

    faces = _faces(options) if options.fonts else ("",)
    for one in synth.figures(seed, start, side=224, noise=options.noise, fonts=faces, pooled=False):
        yield Example(one.pixels, {"kind": one.kind})


def tables(seed: int, start: int, options: Options) -> Iterator[Example]:
    """Tables. truth: html (with the paper's coords), structure (notation.table_structure), words with boxes."""
    from docpipe.notation.table_structure import write
    from docpipe.train.synth import tables as synth

    for one in synth.tables(seed, start, faces=_faces(options), noise=options.noise):
        yield Example(
            one.pixels, {"html": one.html, "structure": "".join(write(one.structure)), "words": _words(one.words)}
        )


def text(seed: int, start: int, options: Options) -> Iterator[Example]:
    """Lines and blocks of text. truth: text, words with boxes, kind, script."""
    from docpipe.train.synth import text as synth

    for one in synth.texts(seed, start, faces=_faces(options), noise=options.noise):
        yield Example(
            one.pixels, {"text": one.text, "words": _words(one.words), "kind": one.kind, "script": one.script}
        )


def _words(words: tuple[tuple[str, tuple[float, float, float, float]], ...]) -> list[dict[str, Any]]:
    return [{"text": said, "box": [round(v, 1) for v in box]} for said, box in words]


def _faces(options: Options) -> tuple[str, ...]:
    from docpipe.train.synth.faces import faces_in

    try:
        return faces_in(options.fonts)
    except ValueError as error:
        raise DocpipeError("DP603", str(options.fonts or os.environ.get("DOCPIPE_FONTS")), str(error)) from error
