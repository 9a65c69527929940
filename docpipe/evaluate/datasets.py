"""Readers of evaluation data: a folder with a manifest, with truths beside the images, or a JSONL file.

In order: the data are a JSONL file; the folder (or one above it) holds truth.tsv or MANIFEST.tsv, tab-separated with a
header line; images stand beside a file of the same stem with the truth; the folder holds JSONL files.

truth.tsv: `path` and a column with the truth itself (`smiles`, `truth` or `text`). MANIFEST.tsv: `path` and `truth`,
the path of a file with the truth (.html, .txt, .krn, .smi, .tex, .xml with Pascal VOC boxes), or of a truth.tsv.
JSONL: `image`, and the truth as `suffix`, `truth`, `text`, `html`, `smiles`, `kern`, `latex`, `caption(s)` or
`answer(s)`; what is asked as `prefix` (PaliGemma's form), `question`, `statement`, `things` or `indication`; `words`
and `boxes` in pixels: [{"text" or "label": …, "box": [x0, y0, x1, y1]}]. All paths are relative to their file.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from docpipe.document import Box
from docpipe.errors import DocpipeError
from docpipe.evaluate.cases import Case
from docpipe.evaluate.voc import voc_case
from docpipe.imagefile import SUFFIXES
from docpipe.metrics.ap import Scored
from docpipe.metrics.spotting import Spotted
from docpipe.notation.tokens import Found, write_objects

MANIFESTS = ("truth.tsv", "MANIFEST.tsv")
READABLE = SUFFIXES | {".pdf", ".dcm"}
TRUTH_COLUMNS = ("smiles", "truth", "text")

TRUTH_FILES: dict[str, tuple[str, ...]] = {
    "text": (".txt",),
    "table": (".html", ".htm"),
    "molecule": (".smi", ".smiles"),
    "score": (".krn",),
    "formula": (".tex", ".txt"),
    "chart": (".html", ".csv", ".txt"),
    "detect": (".xml",),
    "segment": (".xml",),
}
"""For each task the suffixes of files that hold its truth; of any other task .txt."""

TRUTH_FIELDS = (
    "suffix", "truth", "text", "html", "smiles", "kern", "latex", "caption", "captions", "answer", "answers",
)  # fmt: skip
ASKED_FIELDS = ("question", "statement", "things", "indication", "answer", "place")


def read_cases(data: str | Path, task: str) -> list[Case]:
    """The cases for a task in a folder or a JSONL file, sorted by id.

    Raises DP107 when there is no such path, DP630 when it holds nothing for the task, DP631 for a line or a truth
    file that cannot be understood.
    """
    path = Path(data)
    if not path.exists():
        raise DocpipeError("DP107", str(path))
    cases = _jsonl(path, task, path.parent) if path.is_file() else _folder(path, task)
    if not cases:
        kinds = ", ".join(truth_files(task))
        raise DocpipeError("DP630", str(path), f"it holds no image with a truth ({kinds}) for the task {task}")
    ids = [case.id for case in cases]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise DocpipeError("DP631", str(path), f"{twice} stands in it twice")
    return sorted(cases, key=lambda case: case.id)


def sampled(cases: Sequence[Case], count: int | None, seed: int = 0) -> list[Case]:
    """`count` of the cases by the SHA-256 of seed and id, in order of their ids: smaller samples are part of larger."""
    if count is None or count >= len(cases):
        return list(cases)
    chosen = sorted(cases, key=lambda case: hashlib.sha256(f"{seed} {case.id}".encode()).digest())[:count]
    return sorted(chosen, key=lambda case: case.id)


def truth_files(task: str) -> tuple[str, ...]:
    """The suffixes of files that hold a truth for the task."""
    return TRUTH_FILES.get(task, (".txt",))


def _folder(folder: Path, task: str) -> list[Case]:
    resolved = folder.resolve()
    for home in (resolved, *list(resolved.parents)[:2]):
        for name in MANIFESTS:
            if (home / name).is_file():
                cases = [c for c in _manifest(home / name, task) if c.image.is_relative_to(resolved)]
                if cases:
                    return cases
    return _beside(resolved, task) or [
        case for file in sorted(resolved.glob("*.jsonl")) for case in _jsonl(file, task, resolved)
    ]


def _manifest(file: Path, task: str) -> list[Case]:
    rows = _table(file)
    home = file.parent
    if file.name == "truth.tsv":
        column = next((name for name in TRUTH_COLUMNS if rows and name in rows[0]), None)
        if "path" not in (rows[0] if rows else {}) or column is None:
            raise DocpipeError("DP631", f"{file} line 1", f"columns are path and one of {', '.join(TRUTH_COLUMNS)}")
        if column == "smiles" and task != "molecule":
            return []
        return [Case(row["path"], home / row["path"], (row[column],)) for row in rows]
    if rows and not {"path", "truth"} <= rows[0].keys():
        raise DocpipeError("DP631", f"{file} line 1", "columns are path and truth")
    kinds = truth_files(task)
    wanted = [r for r in rows if Path(r["path"]).suffix.lower() in READABLE and r["truth"].lower().endswith(kinds)]
    return [_from_file(row["path"], home / row["path"], home / row["truth"], task) for row in wanted]


def _table(file: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated file with a header line. Raises DP631."""
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = []
        for row in reader:
            if None in row.values() or None in row:
                raise DocpipeError("DP631", f"{file} line {reader.line_num}", "it has not the header's columns")
            rows.append(row)
        return rows


def _beside(folder: Path, task: str) -> list[Case]:
    """Images with a truth of the same stem beside them."""
    kinds = truth_files(task)
    found = []
    for image in sorted(folder.rglob("*")):
        if image.suffix.lower() not in READABLE:
            continue
        truth = next((t for kind in kinds for t in _named(image, kind)), None)
        if truth is not None:
            found.append(_from_file(image.relative_to(folder).as_posix(), image, truth, task))
    return found


def _named(image: Path, kind: str) -> Iterator[Path]:
    for stem in (image.stem, image.stem.lower()):
        if (file := image.with_name(stem + kind)).is_file():
            yield file


def _from_file(name: str, image: Path, truth: Path, task: str) -> Case:
    try:
        text = truth.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DocpipeError("DP631", str(truth), error.strerror or str(error)) from error
    if truth.suffix.lower() == ".xml":
        return voc_case(name, image, text, str(truth))
    if task == "molecule":
        text = text.split()[0] if text.split() else ""
    several = tuple(t for t in text.splitlines() if t.strip()) if "caption" in task or task == "describe" else (text,)
    return Case(name, image, several or ("",))


def _jsonl(file: Path, task: str, home: Path) -> list[Case]:
    cases: dict[str, Case] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file} line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DocpipeError("DP631", where, f"it is not JSON: {error.msg}") from error
        if not isinstance(row, dict) or not isinstance(row.get("image"), str):
            raise DocpipeError("DP631", where, "it is not an object with an `image`")
        case = _from_row(row, file.parent, home, where, task)
        if case is not None:
            cases.setdefault(case.id, case)  # the same image and question twice is one case
    return list(cases.values())


def _from_row(row: dict[str, Any], folder: Path, home: Path, where: str, task: str) -> Case | None:
    asked = {name: row[name] for name in ASKED_FIELDS if name in row and not (name == "answer" and task != "ask-back")}
    if "prefix" in row:
        asked |= _asked(str(row["prefix"]), task)
    parts = {str(k): " ; ".join(map(str, v)) if isinstance(v, list) else str(v) for k, v in asked.items()}
    given = next((row[name] for name in TRUTH_FIELDS if name in row and name not in asked), None)
    things = _things(row["boxes"], folder / row["image"], where) if "boxes" in row else None
    if given is None and things is not None:
        given = write_objects([Found(thing.label, thing.box) for thing in things])
    if given is None:
        raise DocpipeError("DP631", where, "it has no truth: one of " + ", ".join((*TRUTH_FIELDS, "boxes")))
    truths = tuple(str(one) for one in given) if isinstance(given, list) else (str(given),)
    image = folder / row["image"]
    base = (
        image.resolve().relative_to(home.resolve()).as_posix()
        if image.resolve().is_relative_to(home.resolve())
        else row["image"]
    )
    question = " ".join(parts.values())
    words = _words(row["words"], image, where) if "words" in row else None
    return Case(f"{base}#{question}" if question else base, image, truths, parts, words, things)


def _asked(prefix: str, task: str) -> dict[str, str]:
    """What fills a task's blank, from a prompt in PaliGemma's form or the bare question."""
    from docpipe.asking import meant

    name, parts, _ = meant(prefix)
    if name == task:
        return parts
    blank = {"question": "question", "spatial": "statement", "detect": "things", "segment": "things",
             "radiology": "indication", "ask-back": "answer"}.get(task)  # fmt: skip
    return {blank: prefix} if blank else {}


def _boxes(rows: Any, image: Path, where: str) -> list[tuple[dict[str, Any], Box]]:
    from PIL import Image

    try:
        with Image.open(image) as opened:
            across, down = opened.size
        found = []
        for row in rows:
            x0, y0, x1, y1 = (float(value) for value in row["box"])
            found.append((row, Box(x0 / across, y0 / down, x1 / across, y1 / down)))
        return found
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DocpipeError("DP631", where, f"boxes: {error}") from error


def _things(rows: Any, image: Path, where: str) -> tuple[Scored, ...]:
    return tuple(Scored(str(row.get("label", "")), box) for row, box in _boxes(rows, image, where))


def _words(rows: Any, image: Path, where: str) -> tuple[Spotted, ...]:
    return tuple(
        Spotted(str(row.get("text", "")), box, bool(row.get("ignored", False)) or row.get("text") == "###")
        for row, box in _boxes(rows, image, where)
    )
