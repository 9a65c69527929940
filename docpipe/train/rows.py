"""Lines of data files, read with an error that names file and line when they are not what they should be."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docpipe.errors import DocpipeError


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number (from 1) and object of each line that is not blank. Raises DP622."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    found = json.loads(line)
                except ValueError as error:
                    raise wrong(path, number, str(error)) from error
                if not isinstance(found, dict):
                    raise wrong(path, number, "an object is needed")
                yield number, found
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(path, 0, str(error)) from error


def csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number (from 2) and fields of each row below the head. Raises DP622."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                yield number, {str(k): v or "" for k, v in row.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise wrong(path, 0, str(error)) from error


def json_object(path: Path) -> dict[str, Any]:
    """A file that is one JSON object. Raises DP622."""
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise wrong(path, 0, str(error)) from error
    if not isinstance(found, dict):
        raise wrong(path, 0, "an object is needed")
    return found


def text_of(path: Path) -> str:
    """A UTF-8 text file. Raises DP622."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(path, 0, str(error)) from error


def member(row: dict[str, Any], key: str, path: Path, number: int = 0) -> Any:
    """A row's value. Raises DP622 when the row has none."""
    if key not in row:
        raise wrong(path, number, f"{key!r} is missing; there are {', '.join(map(repr, row))}")
    return row[key]


def first_of(place: Path, *names: str) -> Path:
    """The first of some files or folders that is there. Raises DP622, naming them all."""
    for name in names:
        if (place / name).exists():
            return place / name
    raise DocpipeError("DP622", str(place), "it holds none of " + ", ".join(names))


def wrong(path: Path, number: int, why: str) -> DocpipeError:
    """The error of a file, or of its line `number`."""
    return DocpipeError("DP622", f"{path} line {number}" if number else str(path), why)
