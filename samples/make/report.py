"""samples/report.pdf: a long report whose prose comes from a small grammar, so that no two pages are alike."""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

import random
import re
import sys
import tempfile
from pathlib import Path

from typesetting import SAMPLES, compile_pdf, plain_text, table_cells, table_html, typst_text, write_truth

TITLE = "The State of the Estuary"
SUBTITLE = "Ten-Year Report of the Marrow Sound Observatory, 2015–2024"
CHAPTERS = [
    ("The Observatory and Its Stations", ["Buoys", "Tide Gauges", "The Laboratory"]),
    ("Water Level and Tides", ["Mean Level", "Surges", "The Tidal Prism"]),
    ("Temperature and Salt", ["Surface Records", "Profiles", "Stratification"]),
    ("Sediment and Dredging", ["Suspended Load", "The Bar", "Dredged Volumes"]),
    ("Plankton and Algae", ["Spring Blooms", "Diatoms", "Harmful Species"]),
    ("Fish and Fisheries", ["Trawl Surveys", "Eels and Smelt", "Landings"]),
    ("Birds of the Mudflats", ["Winter Counts", "Breeding", "Disturbance"]),
    ("Harbours, Noise and Traffic", ["Ship Movements", "Underwater Noise", "Ferries"]),
    ("Data, Methods and Errors", ["Sensors", "Gaps and Repairs", "The Archive"]),
    ("Outlook", ["Open Questions", "Plans", "Costs"]),
]
SUBJECTS = ["the western station", "the outer buoy", "the gauge at Marrow Quay", "the spring series", "the survey vessel",
            "the second sensor", "the bed of the main channel", "the flood current", "the winter count", "the marsh behind the dyke",
            "the sampling team", "the older record", "the inner basin", "the salt wedge", "the harbour office"]  # fmt: skip
QUANTITIES = ["water level", "turbidity", "salinity", "the chlorophyll content", "the number of ringed plovers", "oxygen near the bed",
              "the catch per haul", "the residual current", "the height of the bar", "the noise level at night", "wave energy"]  # fmt: skip
TRENDS = ["rose slowly", "fell by about a tenth", "showed no clear trend", "doubled within three years", "varied more than expected",
          "followed the wind rather than the tide", "returned to its former level", "was lower than in any year before"]  # fmt: skip
CAUSES = ["a run of mild winters", "the deepening of the fairway", "the closure of the old sluice", "two dry summers", "a change of sensor",
          "the storm of January 2017", "new rules for the ferries", "the growth of eelgrass", "the spoil tipped near the point"]  # fmt: skip
PLACES = [
    "Marrow Quay",
    "Gannet Point",
    "the Old Sluice",
    "Hollin Reach",
    "Saltern Creek",
    "the Bar",
    "Tern Island",
    "Cobble Hard",
]
HEDGES = ["As far as the record allows", "In most years", "On the whole", "At low water", "Contrary to what was expected",
          "Seen over the whole decade", "Between March and June", "In the inner estuary", "With few exceptions"]  # fmt: skip
ADVICE = ["repeat the survey at the same state of the tide", "replace the mooring before the autumn gales", "compare both sensors each month",
          "publish the raw record together with the corrected one", "keep the quay free of parked boats during counts",
          "record the draught of each ship", "store a second copy ashore", "take samples at slack water only"]  # fmt: skip


class Prose:
    """Sentences, paragraphs, lists and tables from a fixed seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, words: list[str]) -> str:
        return self.random.choice(words)

    def sentence(self) -> str:
        r, pick = self.random, self.pick
        year, value = r.randint(2015, 2024), r.uniform(1.1, 48)
        quantity, cause = pick(QUANTITIES), pick(CAUSES)
        text = r.choice(
            [
                f"{pick(HEDGES)}, {quantity} at {pick(PLACES)} {pick(TRENDS)}.",
                f"{pick(SUBJECTS)} gave {value:.1f}% of all readings in {year}, and {quantity} {pick(TRENDS)}.",
                f"We attribute this to {cause}, although {pick(CAUSES)} cannot be ruled out.",
                f"After {year}, when {pick(SUBJECTS)} was out of service for {r.randint(2, 19)} weeks, {quantity} {pick(TRENDS)}.",
                f"The difference between {pick(PLACES)} and {pick(PLACES)} came to {value:.1f} units, which is more than the error of the method.",
                f"Neither {pick(SUBJECTS)} nor {pick(SUBJECTS)} bears out the view that {cause} was decisive.",
                f"A second series, begun in {year}, agrees with the first: {quantity} {pick(TRENDS)}.",
                f"Whether {quantity} will recover depends on {cause} and, to a smaller degree, on {pick(CAUSES)}.",
                f"It should be kept in mind that {pick(SUBJECTS)} lies {r.randint(2, 40)} km seaward of {pick(PLACES)}.",
            ]
        )
        return text[0].upper() + text[1:]

    def paragraph(self) -> str:
        return " ".join(self.sentence() for _ in range(self.random.randint(4, 8)))

    def items(self) -> list[str]:
        return [f"{text};" for text in self.random.sample(ADVICE, self.random.randint(3, 5))]

    def table(self) -> list[list]:
        stations = self.random.sample(PLACES, self.random.randint(4, 7))
        years = sorted(self.random.sample(range(2015, 2025), 4))
        rows: list[list] = [[("Station", 2, 1), ("Mean of the year", 1, 4), None, None, None], [None, *map(str, years)]]
        for station in stations:
            base = self.random.uniform(4, 60)
            name = station[0].upper() + station[1:]
            rows.append([name, *(f"{base * self.random.uniform(0.8, 1.25):.1f}" for _ in years)])
        return rows


STYLE = r"""
#set document(title: "%(title)s", author: "Marrow Sound Observatory", date: datetime(year: 2025, month: 5, day: 19))
#set text(font: "TeX Gyre Pagella", size: 10.8pt, lang: "en", region: "GB", hyphenate: true)
#set smartquote(enabled: false)
#set par(justify: true, leading: 0.62em, spacing: 0.62em, first-line-indent: 1.4em)
#let running = state("running", "")
#set page(paper: "a4", margin: (top: 30mm, bottom: 30mm, inside: 30mm, outside: 26mm), header-ascent: 8mm, footer-descent: 10mm,
  header: context { let n = here().page(); set text(size: 9pt)
    if n > 3 { let starts = query(<chapter>).map(m => m.location().page())
      if not starts.contains(n) { let before = query(selector(<chapter>).before(here()))
        let name = if before.len() > 0 { before.last().value } else { "Contents" }
        if calc.even(n) { grid(columns: (1fr, auto), emph[%(title)s], []) } else { grid(columns: (1fr, auto), [], emph(name)) }
        v(-3pt); line(length: 100%%, stroke: 0.4pt) } } },
  footer: context { let n = here().page(); if n > 1 { align(center, text(size: 9pt)[#n]) } })
#set heading(numbering: "1.1.1")
#show heading.where(level: 1): it => { pagebreak(weak: true); block(above: 0pt, below: 1.6em, text(size: 19pt, weight: "bold", it)) }
#show heading.where(level: 2): it => block(above: 1.7em, below: 0.9em, text(size: 13.5pt, weight: "bold", it))
#show heading.where(level: 3): it => block(above: 1.4em, below: 0.8em, text(size: 11.2pt, weight: "bold", style: "italic", it))
#show outline.entry.where(level: 1): set block(above: 0.9em)
#let cap(body) = block(above: 1.3em, below: 0.7em, sticky: true, align(center, text(size: 9.4pt, body)))
"""


def main() -> None:
    prose = Prose(1724)
    out = [STYLE % {"title": TITLE}]
    out.append(
        f'#v(60mm)\n#align(center)[#text(size: 30pt, weight: "bold")[#at("title"){TITLE}]\n\n#v(4mm)#text(size: 14pt)[{SUBTITLE}]\n\n'
        "#v(90mm)#text(size: 11pt)[Marrow Sound Observatory \\ Gannet Point, May 2025]]\n#pagebreak()\n"
        "#outline(depth: 3, title: [Contents], indent: 1.4em)\n"
    )
    headings: list[dict] = []
    tables: list[dict] = []
    paragraphs: list[dict] = []
    lists: list[dict] = []

    def head(level: int, number: str, text: str) -> None:
        name = f"h{len(headings)}"
        headings.append({"level": level, "number": number, "text": text, "id": name})
        chapter = f'\n#metadata("{text}")<chapter>\n' if level == 1 else ""
        out.append(f'{"=" * level} #at("{name}"){typst_text(text)}{chapter}\n')

    def paragraph() -> None:
        text, name = prose.paragraph(), f"p{len(paragraphs)}"
        before, _, last = text.rpartition(" ")
        paragraphs.append({"text": text, "id": name})
        out.append(f'#at("{name}:a"){typst_text(before)} #at("{name}:b"){typst_text(last)}\n')

    def itemize() -> None:
        kind = prose.random.choice(["list", "enum"])
        cells = []
        out.append(typst_text("The following was agreed with the stations:") + "\n")
        for number, text in enumerate(prose.items(), 1):
            name = f"l{len(lists)}"
            lists.append({"marker": "•" if kind == "list" else f"{number}.", "text": text, "id": name})
            cells.append(f'[#at("{name}"){text}]')
        out.append(f"#block(above: 0.8em, below: 0.9em)[#{kind}(indent: 1em, {', '.join(cells)})]\n")

    def tabulate() -> None:
        number, rows = len(tables) + 1, prose.table()
        text = f"{prose.pick(QUANTITIES)} at selected stations"
        caption = f"Table {number}: {text[0].upper() + text[1:]}"
        tables.append({"id": f"t{number}", "caption": caption, "html": table_html(rows, 2)})
        ruled = number % 3 == 0
        hlines = "" if ruled else "table.hline(stroke: 0.8pt), "
        middle = "" if ruled else "table.hline(stroke: 0.5pt), "
        out.append(
            f'#cap[#at("t{number}")*Table {number}:* {caption.split(": ", 1)[1]}]\n'
            f"#align(center, block(below: 1.4em, breakable: false, {{ set text(size: 9.4pt); table(columns: 5, inset: (x: 8pt, y: 3.4pt), "
            f"stroke: {'0.5pt' if ruled else 'none'}, align: (x, y) => if x == 0 {{ left + horizon }} else {{ center }}, "
            f"{hlines}table.header({table_cells(rows[:2])}), {middle}{table_cells(rows[2:])} {hlines}) }}))\n"
        )

    for first, (chapter, sections) in enumerate(CHAPTERS, 1):
        head(1, f"{first}", chapter)
        for _ in range(2):
            paragraph()
        for second, section in enumerate(sections, 1):
            head(2, f"{first}.{second}", section)
            for third, part in enumerate(
                prose.random.sample(["Method", "Observations", "Comparison", "Doubts", "Remarks"], 3), 1
            ):
                head(3, f"{first}.{second}.{third}", part)
                for index in range(prose.random.randint(3, 4)):
                    paragraph()
                    if index == 1 and third == 1:
                        itemize()
                    if index == 2 and third != 2:
                        tabulate()
    with tempfile.TemporaryDirectory() as name:
        marks = compile_pdf("\n".join(out), Path(name), SAMPLES / "report.pdf")
    pages = max(mark["page"] for mark in marks.values())
    starts = {marks[h["id"]]["page"]: h["text"] for h in headings if h["level"] == 1}
    write_truth("report", truth(marks, pages, starts, headings, tables, paragraphs, lists))


def truth(
    marks: dict, pages: int, starts: dict[int, str], headings: list, tables: list, paragraphs: list, lists: list
) -> dict:
    running = []
    for page in range(4, pages + 1):
        if page not in starts:
            before = [p for p in starts if p < page]
            running.append(
                {"page": page, "text": TITLE if page % 2 == 0 else starts[max(before)] if before else "Contents"}
            )
    over = [p for p in paragraphs if marks[f"{p['id']}:a"]["page"] != marks[f"{p['id']}:b"]["page"]]
    return {
        "source": "report.pdf", "pages": pages, "page_size": [595.28, 841.89], "language": "en", "title": TITLE, "subtitle": SUBTITLE,
        "contents_pages": [2, min(starts) - 1],
        "headings": [{"level": 1, "number": "", "text": "Contents", "page": 2}]
        + [{"level": h["level"], "number": h["number"], "text": h["text"], "page": marks[h["id"]]["page"]} for h in headings],
        "paragraphs": [{"first_words": " ".join(p["text"].split()[:7]), "last_words": " ".join(p["text"].split()[-4:]),
                        "words": len(p["text"].split()), "page": marks[f"{p['id']}:a"]["page"], "end_page": marks[f"{p['id']}:b"]["page"]}
                       for p in paragraphs],
        "paragraphs_over_a_page_break": len(over),
        "list_items": [{"marker": i["marker"], "text": i["text"], "page": marks[i["id"]]["page"]} for i in lists],
        "tables": [{"page": marks[t["id"]]["page"], "caption": plain_text(t["caption"]), "html": t["html"]} for t in tables],
        "running_heads": running,
        "running_feet": [{"page": page, "text": str(page)} for page in range(2, pages + 1)],
        "words": sum(len(re.findall(r"\S+", p["text"])) for p in paragraphs),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
