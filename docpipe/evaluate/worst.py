"""A page of the worst cases: image, truth and answer side by side, in one file that loads nothing."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image

from docpipe.asking import as_ref
from docpipe.errors import DocpipeError
from docpipe.evaluate.bootstrap import Estimate
from docpipe.evaluate.cases import Case
from docpipe.evaluate.report import Report
from docpipe.notation.html import table_content
from docpipe.source import open_source

THUMBNAIL = 560
"""Longest side of an image on the page, in pixels."""

MOST_TEXT = 4000

STYLE = """
body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1200px;padding:0 1em;color:#1c1c1c;background:#fff}
section{border-top:1px solid #bbb;padding:1em 0}h2{font-size:1em;margin:0 0 .5em;overflow-wrap:anywhere}
.row{display:grid;grid-template-columns:repeat(3,minmax(0,1fr));gap:1em;align-items:start}
.row>div{overflow:auto}img,svg{display:block;max-width:100%;height:auto;background:#fff;border:1px solid #ddd}
*{box-sizing:border-box}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f5f5f5;padding:.5em;max-height:24em;overflow:auto;margin:0}
table{border-collapse:collapse;font-size:12px}td,th{border:1px solid #bbb;padding:2px 5px;vertical-align:top}
.note{color:#555}dt{font-weight:600}@media(max-width:700px){.row{grid-template-columns:1fr}}
"""


def worst_page(report: Report, count: int = 40, plot: bytes | None = None) -> str:
    """HTML of the `count` worst cases: wrong answers that were emitted come first, the surest of equal ones first;
    then those found invalid, failures and abstentions. Every text is escaped and a policy forbids scripts and loading.
    """
    chosen = ranked(report)[:count]
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta http-equiv=Content-Security-Policy "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">",
        f"<meta name=viewport content='width=device-width'><title>{escape(_title(report))}</title>",
        f"<style>{STYLE}</style></head><body><h1>{escape(_title(report))}</h1>",
        _figures(report),
    ]
    if plot:
        parts.append(f"<p><img alt='Accuracy against confidence' src='{_data(plot)}' width=520></p>")
    parts.append(f"<p class=note>{len(chosen)} of {len(report.outcomes)} cases, the worst first.</p>")
    parts += [_section(report, index) for index in chosen]
    return "".join([*parts, "</body></html>\n"])


def ranked(report: Report) -> list[int]:
    """The places of the outcomes in order of how bad they are; right ones are left out."""
    state = {"emitted": 0, "invalid": 1, "failed": 2, "abstained": 3}
    first = report.first
    badness = [value if first.better == "lower" else -value for value in first.each]
    best = 0.0 if first.better == "lower" else -1.0

    def wrong(index: int) -> bool:
        return not report.outcomes[index].answered or badness[index] > best

    def key(index: int) -> tuple[int, float, float, str]:
        made = report.outcomes[index]
        return state[made.status], -badness[index], -(made.confidence or 0.0), made.case.id

    return sorted((i for i in range(len(report.outcomes)) if wrong(i)), key=key)


def _title(report: Report) -> str:
    return f"{report.task} by {report.system} at {report.resolution}"


def _figures(report: Report) -> str:
    rows: list[tuple[str, Estimate, Estimate | None]] = [("coverage", report.coverage, None)]
    rows += [(f.name, f.overall, f.emitted) for f in (*report.figures, *([report.accuracy] if report.accuracy else []))]
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{_estimate(overall)}</td><td>{_estimate(emitted)}</td></tr>"
        for name, overall, emitted in rows
    )
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items() if count)
    head = "<tr><th>measure</th><th>over all</th><th>of emitted</th></tr>"
    return f"<p>{escape(counts)}</p><table>{head}{cells}</table>"


def _estimate(value: Estimate | None) -> str:
    if value is None or value.value is None:
        return "-"
    if value.low is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def _section(report: Report, index: int) -> str:
    made = report.outcomes[index]
    scores = ", ".join(f"{f.name} {f.each[index]:.3f}" for f in report.figures)
    sure = "" if made.confidence is None else f", confidence {made.confidence:.3f}"
    note = f"<p class=note>{escape(made.message[:MOST_TEXT])}</p>" if made.message else ""
    asked = "".join(f"<p>{escape(k)}: {escape(v)}</p>" for k, v in made.case.parts.items())
    answer = _shown(report.task, made.text) if made.answered else "<p class=note>no answer</p>"
    truth = "".join(_shown(report.task, text) for text in made.case.truths)
    return (
        f"<section><h2>{escape(made.case.id)}: {made.status}{sure}; {escape(scores)}</h2>{asked}"
        f"<div class=row><div>{_picture(made.case)}</div><div><b>truth</b>{truth}</div>"
        f"<div><b>answer</b>{answer}</div></div>{note}</section>"
    )


def _picture(case: Case) -> str:
    try:
        with open_source(as_ref(case.image)) as source:
            page = source.page(1)
            image, _ = page.pixels(min(150.0, 72 * 4 * THUMBNAIL / max(page.width, page.height)))
    except DocpipeError as error:
        return f"<p class=note>{escape(str(error))}</p>"
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    small = image.quantize(16) if len(image.getcolors(1 << 24) or ()) < 300 else image
    small.save(held, "PNG", optimize=True)
    return f"<img alt='{escape(case.id)}' src='{_data(held.getvalue())}'>"


def _shown(task: str, text: str) -> str:
    """A text, and what it draws: a structure for a molecule, the table for HTML."""
    cut = text if len(text) <= MOST_TEXT else text[:MOST_TEXT] + " …"
    drawn = ""
    if task == "molecule":
        drawn = _structure(text)
    elif task == "table":
        # What `table_content` writes holds table tags and escaped text alone.
        drawn = table_content(text).html if len(text) < 20 * MOST_TEXT else ""
    return f"{drawn}<pre>{escape(cut)}</pre>"


def _structure(smiles: str) -> str:
    from rdkit import Chem, rdBase
    from rdkit.Chem.Draw import rdMolDraw2D

    with rdBase.BlockLogs():
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or not mol.GetNumAtoms():
            return ""
        drawer = rdMolDraw2D.MolDraw2DSVG(340, 240)
        rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol)
        drawer.FinishDrawing()
    svg = str(drawer.GetDrawingText())
    return svg[svg.index("<svg") :]


def _data(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
