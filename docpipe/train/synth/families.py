"""Families of typefaces for what is printed among notes: words, numbers of fingers and endings."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont

from docpipe.train.synth.faces import VARIABLE

STYLES = {
    "plain": ("Regular", "Roman", "Book", "Light"),
    "bold": ("Bold", "Demi"),
    "italic": ("Italic", "Light Italic"),
    "both": ("Bold Italic", "Demi Italic"),
}
"""What typefaces call the four styles of a family."""

_NO_SERIFS = ("Sans", "Mono", "Gothic", "Lato", "Roboto", "Carlito", "Biolinum", "Display", "Nimbus Mono", "Courier")


@dataclass(frozen=True)
class Family:
    """name: as in the files themselves, by which SVG asks for it. files: plain, bold, italic, bold italic."""

    name: str
    files: tuple[str, ...]


@cache
def families_in(folder: str | None = None) -> tuple[Family, ...]:
    """Families of a folder and those below it that have all four styles, by name; those with serifs, if there are any.

    Without a folder those of the environment variable DOCPIPE_FONTS, else what matplotlib brings along (extra `train`);
    none where there is neither: then nothing is written among the notes.
    """
    place = folder or os.environ.get(VARIABLE)
    found: dict[str, dict[str, str]] = {}
    for path in sorted(Path(place).rglob("*")) if place else _brought_along():
        if path.suffix.lower() not in (".ttf", ".otf"):
            continue
        try:
            name, style = ImageFont.truetype(str(path), 12).getname()
        except OSError:
            continue
        kind = next((kind for kind, names in STYLES.items() if style in names), None)
        if name and kind:
            found.setdefault(name, {}).setdefault(kind, str(path))
    whole = [Family(n, tuple(files[k] for k in STYLES)) for n, files in sorted(found.items()) if len(files) == 4]
    serif = [family for family in whole if not any(word in family.name for word in _NO_SERIFS)]
    return tuple(serif or whole)


def _brought_along() -> list[Path]:
    spec = importlib.util.find_spec("matplotlib")
    home = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" if spec and spec.origin else None
    return sorted(home.glob("STIXGeneral*.ttf")) if home else []
