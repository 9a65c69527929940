"""Fonts whose glyphs are the signs of music: what a file calls their letters is no text."""

from __future__ import annotations

import re
from functools import lru_cache

_FONTS = re.compile(
    r"(?:TeX)?(?:MUSIX(?!tmr)|XSL[DHUZ]|XGREG)"  # MusiXTeX
    r"|Emmentaler|Aybabtu|feta\d|parmesan\d|Gonville|Gutenberg1939|Haydn-|Profondo|LilyJAZZ(?!Text|Chord)|PMW-Music"
    r"|(?:Bravura|Petaluma|Leland|Leipzig|Sebastian|Ekmelos|GoldenAge|MScore|Gootville|November|MuseJazz|Finale[A-Z]\w+)"
    r"(?!.*(?:Text|Script))"  # SMuFL
    r"|(?:Maestro|Petrucci|Sonata|BroadwayCopyist|Engraver(?:Font|Time)|Sevilla|Tamburo)(?!.*Text)"
    r"|(?:Opus|Helsinki|Inkpen2|Reprise|Norfolk)(?:Std|Special|SpecialStd|Percussion|Ornaments|SpecialExtra)\w*$|Opus$"
    r"|gre(?:ciliae|gall|gorio|extra|laon)|granapadano|caeciliae|grame$",  # Gregorio
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def is_music_font(name: str) -> bool:
    """Whether a font, by its name in a PDF (a subset's prefix `ABCDEF+` counts for nothing), is one of music's signs.

    Fonts made for words beside music (`BravuraText`, `PetalumaScript`) are none.
    """
    return _FONTS.match(re.sub(r"^[A-Z]{6}\+", "", name)) is not None
