"""MIMIC-CXR-JPG (arXiv 1901.07042): files/p10/p10000032/s50414267/<dicom>.jpg, the study's report in
files/p10/p10000032/s50414267.txt, splits in mimic-cxr-2.0.0-split.csv(.gz).

The report's INDICATION fills the prompt's {indication}; FINDINGS and IMPRESSION are the answer (PaliGemma 2,
arXiv 2412.03555, sec. 4.7). The paper's authors took out mentions of earlier X-rays with a language model; these are
still there.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from docpipe.train.examples import Example
from docpipe.train.rows import text_of, wrong

NAMES = ("mimic-cxr-2.0.0-split.csv", "mimic-cxr-2.0.0-split.csv.gz")
_HEADING = re.compile(r"^\s*([A-Z][A-Z /()]+):", re.MULTILINE)


def read(place: Path, split: str, task: str) -> Iterator[Example]:
    """Studies without findings and impression are passed over. Raises DP622."""
    table = next((place / name for name in NAMES if (place / name).is_file()), None)
    if table is None:
        raise wrong(place, 0, f"{NAMES[0]} is missing")
    for row in _rows(table):
        if split and row["split"] != split:
            continue
        subject, study = row["subject_id"], row["study_id"]
        person = place / "files" / f"p{subject[:2]}" / f"p{subject}"
        image, report = person / f"s{study}" / f"{row['dicom_id']}.jpg", person / f"s{study}.txt"
        if not (image.is_file() and report.is_file()):
            continue
        found = sections(text_of(report))
        said = [f"{name}: {found[name]}" for name in ("FINDINGS", "IMPRESSION") if found.get(name)]
        if said:
            yield Example(image, task, "\n".join(said), {"indication": found.get("INDICATION", "")})


def sections(report: str) -> dict[str, str]:
    """The report's sections by heading, blanks and line ends as single blanks; HISTORY counts as INDICATION."""
    found: dict[str, str] = {}
    headings = list(_HEADING.finditer(report))
    for number, heading in enumerate(headings):
        end = headings[number + 1].start() if number + 1 < len(headings) else len(report)
        name = heading[1].strip()
        name = {"HISTORY": "INDICATION", "REASON FOR EXAM": "INDICATION", "CONCLUSION": "IMPRESSION"}.get(name, name)
        text = " ".join(report[heading.end() : end].split())
        if text:
            found.setdefault(name, text)
    return found


def _rows(table: Path) -> Iterator[dict[str, str]]:
    with gzip.open(table, "rt", newline="") if table.suffix == ".gz" else table.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            if not {"dicom_id", "study_id", "subject_id", "split"} <= row.keys():
                raise wrong(table, number, "dicom_id, study_id, subject_id and split are needed")
            yield row
