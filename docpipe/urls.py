"""Sources that lie elsewhere: URLs of the file systems that fsspec knows (s3://, gs://, https://, zip://a.pdf::…).

fsspec comes with other packages that docpipe needs; most kinds of URL want a package of their own (s3fs, gcsfs, …).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from docpipe.errors import DocpipeError

_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_CHAIN = "::"


@dataclass(frozen=True)
class Url:
    """A URL, to be named like a path: `name` and `stem` are those of the file it leads to."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def name(self) -> str:
        """The file's name: the last part of the URL's path, or of the first link of a chain."""
        path = self.text.split(_CHAIN, 1)[0].split("://", 1)[1]
        if self.text.lower().startswith("http"):
            path = re.split(r"[?#]", path, maxsplit=1)[0]
        return PurePosixPath(path).name or "document"

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    def resolve(self) -> Url:
        """Itself: a URL leads to the same place from everywhere."""
        return self


Place = Path | Url
"""Where a source is."""


def is_url(text: str) -> bool:
    """Whether this is a URL rather than a path (one letter before the colon is a drive)."""
    return _URL.match(text) is not None


def place(text: str) -> Place:
    """A path or a URL, whichever the text is."""
    return Url(text) if is_url(text) else Path(text)


def read_url(text: str) -> bytes:
    """What lies at a URL. Raises DP107 when nothing does, DP521 when it cannot be read."""
    system, path = _system(text)
    try:
        data: bytes = system.cat_file(path)
    except FileNotFoundError as error:
        raise DocpipeError("DP107", text) from error
    except Exception as error:  # each file system has errors of its own
        raise DocpipeError("DP521", text, _said(error)) from error
    return data


def find_urls(text: str, suffixes: Collection[str]) -> list[Url]:
    """The files that a URL leads to, sorted: of a folder or a pattern (*) those with these suffixes, else itself.

    Raises DP107 when nothing is there, DP108 when a folder holds no such file, DP521 when it cannot be looked into.
    """
    url = Url(text)
    if "*" not in text and PurePosixPath(url.name).suffix.lower() in suffixes:
        return [url]  # whoever reads it will tell whether it is there
    system, path = _system(text)
    rest = _CHAIN + text.split(_CHAIN, 1)[1] if _CHAIN in text else ""
    try:
        if "*" in text:
            found = system.glob(path)
        elif system.isdir(path):
            found = system.find(path)
        elif system.exists(path):
            return [url]
        else:
            raise DocpipeError("DP107", text)
    except DocpipeError:
        raise
    except FileNotFoundError as error:
        raise DocpipeError("DP107", text) from error
    except Exception as error:
        raise DocpipeError("DP521", text, _said(error)) from error
    files = [Url(system.unstrip_protocol(one) + rest) for one in sorted(found)]
    files = [one for one in files if PurePosixPath(one.name).suffix.lower() in suffixes]
    if not files:
        raise DocpipeError("DP108", text)
    return files


def _system(text: str) -> tuple[Any, str]:
    """fsspec's file system for a URL, and the path within it. Raises DP521 when there is none."""
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(text)
    except FileNotFoundError as error:  # the archive that it would lie in
        raise DocpipeError("DP107", text) from error
    except Exception as error:  # ImportError names the package to install, ValueError the protocol
        raise DocpipeError("DP521", text, _said(error)) from error
    return system, str(path)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
