"""Checks: does what was read hold up, by the library of its own domain?

A check is a function ``(content, clipping) -> Checked``. It never raises: whatever it meets becomes a finding that a
person can act on. A repaired reading keeps what it was before in ``verdict.original``.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from PIL import Image

from docpipe.document import Content, Verdict


class Checked(NamedTuple):
    """A content after its check (canonical form, repaired where that is safe) and the verdict on it."""

    content: Content | None
    verdict: Verdict


class Pixels(Protocol):
    """The pixels that were read, rasterized only when a check asks for them."""

    @property
    def image(self) -> Image.Image: ...


class Check(Protocol):
    """What every check is."""

    def __call__(self, content: Content, clipping: Pixels | None = None) -> Checked: ...
