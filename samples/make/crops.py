"""Single crops for `docpipe read` (molecule.png, table.png, score.png, text.png) and a palette page (palette.png)."""

from __future__ import annotations

import json
import sys

import numpy as np
import pymupdf
from PIL import Image
from typesetting import SAMPLES, TRUTH, write_truth


def main() -> None:
    truth = json.loads((TRUTH / "mixed.json").read_text(encoding="utf-8"))
    small, stereo, table, score = truth["molecules"][0], truth["molecules"][5], truth["tables"][0], truth["scores"][0]
    with pymupdf.open(SAMPLES / "mixed.pdf") as document:

        def crop(page: int, box: list[float], dpi: int, margin: float) -> Image.Image:
            clip = pymupdf.Rect(box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
            pixels = document[page - 1].get_pixmap(dpi=dpi, clip=clip)
            return Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples)

        crop(small["page"], small["box"], 300, 4).convert("L").save(
            SAMPLES / "molecule.png", dpi=(300, 300), optimize=True
        )
        crop(stereo["page"], stereo["box"], 300, 4).convert("L").save(
            SAMPLES / "molecule_stereo.png", dpi=(300, 300), optimize=True
        )
        crop(table["page"], table["box"], 150, 3).save(SAMPLES / "table.png", dpi=(150, 150), optimize=True)
        gray = crop(score["page"], score["box"], 200, 2).convert("L")
        gray.point(lambda v: 255 if v > 150 else 0).convert("1").save(
            SAMPLES / "score.png", dpi=(200, 200), optimize=True
        )
        crop(1, truth["abstract"]["box"], 200, 3).convert("L").save(SAMPLES / "text.png", dpi=(200, 200), optimize=True)
        palette(crop(1, [0, 0, 595.28, 841.89], 150, 0)).save(SAMPLES / "palette.png", dpi=(150, 150), optimize=True)
    page_one = [b for b in truth["blocks"] if b.get("start", {}).get("page") == 1]
    write_truth("crops", {
        "molecule.png": {"task": "molecule", "smiles": small["smiles"], "dpi": 300},
        "molecule_stereo.png": {"task": "molecule", "smiles": stereo["smiles"], "dpi": 300},
        "table.png": {"task": "table", "html": table["html"], "html_plain": table["html_plain"], "dpi": 150},
        "score.png": {"task": "score", "kern": score["kern"], "dpi": 200},
        "text.png": {"task": "text", "text": truth["abstract"]["text"], "dpi": 200},
        "palette.png": {"task": "page", "mode": "P", "dpi": 150, "title": truth["title"],
                        "headings": [h["shown"] for h in truth["headings"] if h["page"] == 1],
                        "first_words": [b["first_words"] for b in page_one if b["kind"] == "paragraph"]},
    })  # fmt: skip


def palette(image: Image.Image) -> Image.Image:
    """Sixteen greys as a palette in shuffled order: whoever reads the indices as brightness sees noise."""
    order = np.random.default_rng(5).permutation(16)
    level = np.asarray(image.convert("L")).astype(int) * 15 // 255
    result = Image.fromarray(order[level].astype(np.uint8)).convert("L")
    result = Image.frombytes("P", image.size, result.tobytes())
    colours = [0] * 48
    for grey, index in enumerate(order):
        colours[3 * index : 3 * index + 3] = [grey * 17] * 3
    result.putpalette(colours)
    return result


if __name__ == "__main__":
    sys.exit(main())
