"""samples/cjk.pdf (Japanese) and samples/cyrillic.pdf (Russian with a Greek paragraph): subset fonts, own words."""

# ruff: noqa: E501  (running text and Typst templates read best unbroken)

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from typesetting import SAMPLES, compile_pdf, table_cells, table_html, typst_text, write_truth

JAPANESE = {
    "title": "古いピアノの響板について",
    "blocks": [
        ("heading", "一 はじめに"),
        ("paragraph", "ピアノの音色は、厚さ八ミリほどの木の板によって大きく左右される。この板は響板と呼ばれ、弦の小さな振動を空気の振動に"
                      "変える。木は年を経るにつれて軽く、硬くなり、音の減り方も変わる。その理由はまだ十分に分かっていない。"),
        ("paragraph", "私たちは一八〇五年頃に作られた小型のピアノを調べる機会を得た。響板は虫に食われて割れており、修理することができな"
                      "かった。そこで、取り外した板から細い試料を十一本切り出し、有機溶媒で洗う前と後の振動を比べた。"),
        ("heading", "二 方法と結果"),
        ("paragraph", "試料を二十度、湿度五十五パーセントの部屋に六週間置いたのち、細い絹糸でつるし、小さなコイルで振動させた。結果を"
                      "表１に示す。密度は一パーセントほど下がったが、弾性率はほとんど変わらなかった。これに対して損失は二割から三割も"
                      "増えた。"),
        ("table", "表１　洗浄の前と後の測定値"),
        ("heading", "三 まとめ"),
        ("paragraph", "古い木に残る樹脂は油のように働くのではなく、細胞壁のすき間を埋めて鎖の動きを抑えていると考えられる。したがって、"
                      "古い響板をアルコールやアセトンで拭くことは避けたほうがよい。"),
    ],
    "table": [
        ["部位", "密度（kg/m³）", "前", "後", "変化"],
        ["高音部", "412", "6.12", "8.02", "+31%"],
        ["中音部", "418", "6.41", "8.01", "+25%"],
        ["低音部", "433", "6.87", "8.38", "+22%"],
        ["新しい木", "398", "7.95", "8.21", "+3%"],
    ],
}  # fmt: skip
RUSSIAN = {
    "title": "Заметка о старой ели",
    "blocks": [
        ("heading", "1. Введение"),
        ("paragraph", "Звучание рояля во многом зависит от тонкого елового щита, который называют резонансной декой. Она принимает слабое "
                      "движение струны и передаёт его воздуху. С годами древесина становится легче и жёстче, а звук в ней затухает "
                      "медленнее, и мастера давно подозревают, что дело тут не обходится без смолы."),
        ("paragraph", "Нам досталась дека небольшого инструмента, построенного около 1805 года. Починить её было уже нельзя. Мы вырезали из "
                      "неё одиннадцать полосок, промыли их ацетоном и сравнили колебания до и после промывки."),
        ("heading", "2. Что получилось"),
        ("paragraph", "Плотность уменьшилась примерно на один процент, модуль упругости почти не изменился. Потери же выросли на четверть. "
                      "Значит, оставшиеся в дереве вещества не смазывают волокна, а удерживают их на месте."),
        ("list_item", "сухую пыль следует удалять мягкой кистью;"),
        ("list_item", "воду можно применять лишь в малом количестве;"),
        ("list_item", "спирт и ацетон к голому дереву подносить нельзя."),
        ("heading", "3. Περίληψη"),
        ("paragraph", "Το παλιό ξύλο κρατά μέσα του μικρά μόρια που το κάνουν πιο σκληρό. Όταν τα βγάλουμε με διαλύτη, ο ήχος σβήνει πιο "
                      "γρήγορα. Γι’ αυτό το ηχείο ενός παλιού οργάνου πρέπει να καθαρίζεται χωρίς οινόπνευμα."),
    ],
}  # fmt: skip


def main() -> None:
    typeset("cjk", JAPANESE, 'font: ("TeX Gyre Pagella", "Noto Serif CJK JP"), lang: "ja", size: 10.5pt', "1em", ["ja"])
    typeset("cyrillic", RUSSIAN, 'font: "Libertinus Serif", lang: "ru", size: 11pt', "1.5em", ["ru", "el"])


def typeset(name: str, content: dict, font: str, indent: str, languages: list[str]) -> None:
    out = [f"#set document(title: \"{content['title']}\", date: datetime(year: 2025, month: 5, day: 19))\n#set text({font})\n"
           f"#set smartquote(enabled: false)\n#set par(justify: true, leading: 0.8em, spacing: 0.8em, first-line-indent: (amount: {indent}, all: true))\n"
           '#set page(paper: "a4", margin: 30mm, footer: context align(center)[#here().page()])\n'
           f"#align(center, text(size: 17pt, weight: \"bold\")[#at(\"title\"){content['title']}])\n#v(6mm)\n"]  # fmt: skip
    for index, (kind, text) in enumerate(content["blocks"]):
        if kind == "heading":
            out.append(
                f'#block(above: 1.6em, below: 1em, text(size: 12.5pt, weight: "bold")[#at("b{index}"){typst_text(text)}])\n'
            )
        elif kind == "list_item":
            out.append(f"- {typst_text(text)}")
        elif kind == "table":
            rows = content["table"]
            out.append(f"#align(center)[#block(above: 1.4em, below: 0.7em)[{typst_text(text)}]\n#block(below: 1.4em, table(columns: {len(rows[0])}, "
                       f"inset: (x: 10pt, y: 6pt), stroke: 0.6pt, align: center, {table_cells(rows)}))]\n")  # fmt: skip
        else:
            out.append(f"\n{typst_text(text)}\n")
    with tempfile.TemporaryDirectory() as folder:
        compile_pdf("\n".join(out), Path(folder), SAMPLES / f"{name}.pdf")
    blocks = [{"kind": "caption" if kind == "table" else kind, "text": text} for kind, text in content["blocks"]]
    truth = {
        "source": f"{name}.pdf",
        "pages": 1,
        "page_size": [595.28, 841.89],
        "languages": languages,
        "title": content["title"],
        "blocks": blocks,
    }
    if "table" in content:
        truth["tables"] = [{"page": 1, "html": table_html(content["table"], 1)}]
    write_truth(name, truth)


if __name__ == "__main__":
    sys.exit(main())
