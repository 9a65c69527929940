"""Is a long description fit to stand for a picture? As with captions, no library can tell whether it is true."""

from __future__ import annotations

import re

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import judges
from docpipe.checks.picture import check_picture
from docpipe.document import PictureContent

_END = re.compile(r"(?<=[.!?])\s+(?=[^\sa-z])|(?<=[。！？])")


@judges(PictureContent)
def check_description(content: PictureContent, clipping: Pixels | None = None) -> Checked:
    """Judge a description as `check_picture` does a caption. Its first sentence becomes the alternative text, where
    the picture has none.
    """
    if content.description is None:
        return check_picture(content, clipping)
    judged = check_picture(PictureContent(alt=content.description), clipping)
    text = judged.content.alt if isinstance(judged.content, PictureContent) else None
    alt = content.alt or (_END.split(text, maxsplit=1)[0].strip() if text else None)
    return Checked(content.model_copy(update={"alt": alt, "description": text}), judged.verdict)
