"""`docpipe inspect`: what a file holds, before work begins."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from docpipe.cli.app import AsJson, Password, app


@app.command()
def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A PDF or an image.")],
    password: Password = None,
    as_json: AsJson = False,
) -> None:
    """Say what a PDF or image holds: pages and their sizes, text layer, images, drawings, fonts, bookmarks."""
    facts = _facts(file, password)
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        shown = ", ".join(f"{k} ({v})" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name.replace('_', ' ')}: {shown if shown not in (None, '', []) else '-'}")


def _facts(file: Path, password: str | None) -> dict[str, Any]:
    from docpipe.errors import DocpipeError
    from docpipe.source import open_source

    with open_source(file, password=password) as source:
        sizes: Counter[str] = Counter()
        fonts: Counter[str] = Counter()
        words = images = drawings = scanned = bare = 0
        damaged = []
        for number in range(1, source.page_count + 1):
            try:
                page = source.page(number)
                lines = page.lines()
                placed, paths = page.images(), page.drawings()
            except (DocpipeError, RuntimeError, ValueError):
                damaged.append(number)
                continue
            sizes[f"{page.width:.0f} x {page.height:.0f} pt"] += 1
            fonts.update(word.font for line in lines for word in line.words)
            words += sum(len(line.words) for line in lines)
            images += len(placed)
            drawings += len(paths)
            scanned += not lines and bool(placed)
            bare += not lines and not placed and not paths
        metadata = source.metadata
        return {
            "name": source.info.name,
            "media_type": source.info.media_type,
            "sha256": source.info.sha256,
            "pages": source.page_count,
            "page_sizes": dict(sizes),
            "words_in_text_layer": words,
            "pages_of_pixels_only": scanned,
            "blank_pages": bare,
            "damaged_pages": damaged,
            "images": images,
            "vector_paths": drawings,
            "fonts": dict(fonts.most_common(12)),
            "bookmarks": len(source.outline),
            "title": metadata.title,
            "authors": ", ".join(metadata.authors),
            "producer": metadata.producer,
        }
