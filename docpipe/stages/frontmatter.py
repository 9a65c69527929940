"""What a paper says of itself: title, authors, abstract and references, read off its regions.

Rules after GROBID's and CERMINE's zones (Tkaczyk et al., CERMINE, IJDAR 18, 2015), without their models: the title is
the title region, authors stand between it and the abstract, references follow their heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from docpipe.document import Metadata, Page, Region, TextContent, Word

_ABSTRACT = re.compile(r"^\W*(abstract|summary|zusammenfassung|résumé|resumen|摘\s*要)\b\W*", re.IGNORECASE)
_REFERENCES = re.compile(
    r"^\W*([\dIVX]{1,4}\.?\s+)?(references|bibliography|literature cited|works cited|literatur(verzeichnis)?|"
    r"références|bibliographie|referencias|参考文献)\W*$",
    re.IGNORECASE,
)
_KEYWORDS = re.compile(r"^\W*(key\s?words|index terms|ccs concepts|categories and subject)", re.IGNORECASE)
_ENTRY = re.compile(r"(?:(?<=\s)|^)(?=\[\d{1,3}\]\s)")
_PLACE = re.compile(
    r"@|\d{3}|\b(universit|institut|department|dept|school|college|laborator|faculty|centre|center|academy|hospital|inc\b|"
    r"corp|gmbh|ltd|research|company|street|avenue|road|email|e-mail|http|received|accepted|published|abteilung|group\b|"
    r"state|national|foundation|college|usa\b|uk\b|germany|china|france|japan)",
    re.IGNORECASE,
)
_AFFILIATION = re.compile(r"\W*[\da-e*†‡§¶][\s)]*[A-Z]")
"""A mark before a capital: names have theirs behind."""
_PARTICLES = frozenset(
    ("van", "von", "de", "der", "den", "del", "della", "di", "da", "du", "la", "le", "el", "al", "bin", "ibn", "ter",
     "ten", "dos", "das")
)  # fmt: skip
_NAME_SPLIT = re.compile(r"\s*(?:,|;|·|•|\||&|\band\b|\bund\b|\bet\b)\s*")


def is_references(text: str) -> bool:
    """Whether a text is the heading of a bibliography."""
    return bool(_REFERENCES.match(text))


def front_matter(pages: Sequence[Page], metadata: Metadata = Metadata()) -> Metadata:  # noqa: B008 (frozen)
    """The metadata completed with what the pages say; what they do not say is left as the file states it."""
    first = [region for page in pages[:2] for region in page.regions]
    title = next((r for r in first if r.kind == "title" and r.text.strip()), None)
    names = tuple(_authors(first, title)) if title else ()
    return metadata.model_copy(
        update={
            "title": title.text.strip() if title else metadata.title,
            "authors": names or metadata.authors,
            "abstract": _abstract(first) or metadata.abstract,
            "references": tuple(_references(region for page in pages for region in page.regions)),
        }
    )


def _authors(regions: Sequence[Region], title: Region) -> Iterator[str]:
    """Names between the title and whatever comes after them: the abstract, a section, a long paragraph."""
    after = regions[regions.index(title) + 1 :]
    for region in takewhile(_is_byline, (r for r in after if r.kind not in {"header", "footer", "picture"})):
        if _AFFILIATION.match(region.text):
            continue
        for line in _lines(region):
            if _PLACE.search(line):
                continue
            for name in _NAME_SPLIT.split(line):
                if _is_name(name := re.sub(r"[\d*†‡§¶∗#^()]+", " ", name).strip(" .,")):
                    yield " ".join(name.split())


def _is_byline(region: Region) -> bool:
    text = region.text.strip()
    section = region.kind == "heading" and not any(_is_name(name) for name in _NAME_SPLIT.split(text))
    return (
        len(text) < 1200
        and region.kind != "list_item"
        and not section
        and not _ABSTRACT.match(text)
        and not _KEYWORDS.match(text)
    )


def _lines(region: Region) -> list[str]:
    """The region's text line by line, without superscripts, which mark affiliations."""
    content = region.reading.content if region.reading else None
    if not isinstance(content, TextContent) or not content.words:
        return region.text.splitlines()
    lines: list[list[Word]] = []
    for word in content.words:
        if "superscript" in word.style:
            continue
        last = lines[-1][-1] if lines else None
        level = last is not None and abs(word.box.center[1] - last.box.center[1]) < 0.5 * word.box.height
        wide = last is not None and word.box.x0 - last.box.x1 > 2.5 * word.box.height
        if level and not wide:
            lines[-1].append(word)
        else:
            lines.append([word])
    return [" ".join(word.text for word in line) for line in lines]


def _is_name(text: str) -> bool:
    """Two to five words, each with a capital or a particle of names, no other sentence signs."""
    parts = text.split()
    if not 2 <= len(parts) <= 5 or len(text) > 50:
        return False
    if any(not re.fullmatch(r"[^\W\d_][\w.'’\-]*", part) for part in parts):
        return False
    capitals = [p for p in parts if p[0].isupper() or not p[0].isascii()]
    return len(capitals) >= 2 and all(p in capitals or p.lower() in _PARTICLES for p in parts)


def _abstract(regions: Sequence[Region]) -> str | None:
    """The paragraphs under a heading Abstract, or the one that begins with the word."""
    for place, region in enumerate(regions):
        text = region.text.strip()
        match = _ABSTRACT.match(text)
        if not match or region.kind not in {"heading", "paragraph", "title"}:
            continue
        if rest := text[match.end() :].lstrip(" .:—–-"):
            # "Summary of results" heads something else; a run-in abstract is a paragraph.
            if region.kind == "paragraph" and len(rest) > 80:
                return rest
            continue
        below = takewhile(
            lambda r: r.kind in {"paragraph", "list_item", "header", "footer", "footnote", "other"},
            regions[place + 1 :],
        )
        parts = list(
            takewhile(lambda t: not _KEYWORDS.match(t), (r.text.strip() for r in below if r.kind == "paragraph"))
        )
        if parts:
            return "\n\n".join(parts)
    return None


def _references(regions: Iterable[Region]) -> Iterator[str]:
    """The entries under the last heading References, parted at [1], [2] … where one region holds several."""
    body = [r for r in regions if r.kind not in {"header", "footer", "picture", "table", "caption"}]
    starts = [
        i for i, r in enumerate(body) if r.kind in {"heading", "title", "paragraph"} and _REFERENCES.match(r.text)
    ]
    if not starts:
        return
    heading = body[starts[-1]]
    pending = ""
    for region in body[starts[-1] + 1 :]:
        if region.kind == "heading" and (region.level or 1) <= (heading.level or 1):
            break
        if region.kind not in {"paragraph", "list_item", "footnote", "other"}:
            continue
        for entry in _ENTRY.split(region.text):
            entry = entry.strip()
            if not entry:
                continue
            if pending and (region.continues or entry[0].islower()):
                pending = _joined(pending, entry)
            else:
                if pending:
                    yield pending
                pending = entry
    if pending:
        yield pending


def _joined(first: str, second: str) -> str:
    return first[:-1] + second if first.endswith("-") and second[0].islower() else f"{first} {second}"
