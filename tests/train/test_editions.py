"""What stands around the notes of a generated score: there, where it belongs, and never in the notes' way."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from docpipe.notation.kern import read
from docpipe.notation.kern_gaps import filled
from docpipe.notation.kern_system import System, text_of
from docpipe.notation.rhythm import rhythm
from docpipe.notation.staff import Event, Head, Measure
from docpipe.train.synth.edition import Edition, decorated, random_edition
from docpipe.train.synth.engraving import engrave
from docpipe.train.synth.families import families_in
from docpipe.train.synth.music.piece import random_system
from docpipe.train.synth.scores import systems

FULL = Edition(
    tempo="Presto", dynamics=0.4, fingers=(0.9, 0.9), below=(True, False), pedal=0.5, words=0.5,
    endings={1: 1, 2: 2, 3: 0}, slashed=False,
)  # fmt: skip


def notes(*positions: int, tied: bool = False) -> Measure:
    return Measure(tuple(Event("note", "4", (Head(p, "", tied),)) for p in positions))


def octave(token: str) -> int:
    letters = re.sub("[^a-gA-G]", "", token)
    return 3 + len(letters) if letters.islower() else 4 - len(letters)


def test_rows_stay_whole_under_everything_that_is_added() -> None:
    """Each line has as many fields as there are spines, and the notes' fields still say whose they are."""
    for number in range(40):
        rng = random.Random(number)
        system = filled(random_system(rng, 4, 2))
        rows = decorated(system, FULL, rng)
        assert not read(text_of(rows)).problems
        for row in rows:
            for text, owner in zip(row.fields, row.owners, strict=False):
                if owner is not None:
                    item = system.staves[owner[0]][owner[1]].items[owner[2]]
                    assert isinstance(item, Event)
                    assert ("q" in text) == (item.kind == "grace")
        owned = {owner for row in rows for owner in row.owners if owner}
        assert len(owned) == sum(1 for staff in system.staves for m in staff for _ in m.events())


def test_every_kind_of_sign_is_engraved() -> None:
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    staff = tuple(notes(1, 2, 3, 4) for _ in range(4))
    edition = replace(FULL, octave=(0, 1, 2, "8va"))
    assert toolkit.loadData(text_of(decorated(System((staff, staff)), edition, random.Random(2))))
    found = Counter(re.findall(r'class="(\w+)', toolkit.renderToSVG(1)))
    for kind in ("tempo", "dynam", "fing", "pedal", "dir", "octave"):
        assert found[kind], kind
    assert found["ending"] == 2


def test_an_octave_bracket_changes_what_sounds_and_not_what_is_printed() -> None:
    staff = tuple(notes(-3, 0, 4) for _ in range(3))
    for sign, s in (("8va", 0), ("8ba", 1)):
        edition = Edition(octave=(s, 1, 1, sign))
        text = text_of(decorated(System((staff, staff)), edition, random.Random(0)))
        sounding = [line.split("\t")[1 - s] for line in text.splitlines() if line[0].isdigit()]
        plain, raised = sounding[:3], sounding[3:6]
        assert sounding[6:] == plain
        assert [octave(a) - octave(b) for a, b in zip(raised, plain, strict=True)] == [1 if sign == "8va" else -1] * 3
        drawn = engrave(System((staff, staff)), _Always(edition))
        tops = {round(drawn.heads[s, m, 0][0][1], 1) for m in range(3)}
        assert len(tops) == 1


class _Always(random.Random):
    """Chances that make `random_edition` the one that is given."""

    def __init__(self, edition: Edition) -> None:
        super().__init__(4)
        self.edition = edition


@pytest.fixture(autouse=True)
def _given_editions(monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen(system: System, rng: random.Random) -> Edition:
        return rng.edition if isinstance(rng, _Always) else random_edition(system, rng)

    monkeypatch.setattr("docpipe.train.synth.engraving.random_edition", chosen)


def test_a_bracket_never_cuts_a_tie() -> None:
    tied = tuple(notes(1, 2, 3, 3, tied=True) for _ in range(3))
    for number in range(200):
        assert random_edition(System((tied,)), random.Random(number)).octave in (None, (0, 0, 2, "8va"))


def test_grace_notes_that_follow_each_other_are_joined() -> None:
    grace = Event("grace", "16", (Head(2),))
    measure = Measure((grace, grace, grace, Event("note", "4", (Head(0),)), grace, Event("note", "4", (Head(0),))))
    for slashed, sign in ((True, "q"), (False, "qq")):
        text = text_of(decorated(System(((measure,),)), Edition(slashed=slashed), random.Random(0)))
        graces = [line for line in text.splitlines() if "q" in line]
        assert [g.endswith("LL") for g in graces] == [True, False, False, False]
        assert [g.endswith("JJ") for g in graces] == [False, False, True, False]
        assert all(re.search("[a-gA-G]", g) and g.count("q") == len(sign) for g in graces)


def test_a_repeat_that_starts_is_found_where_it_is_drawn() -> None:
    """Verovio draws it with the measure after it; both measures are cut at it all the same."""
    bars = ("=", "=!|:", "=!|:", "=:|!", "==")
    staff = tuple(replace(notes(1, 2, 3, 4), bar=bar) for bar in bars)
    drawn = engrave(System((staff, staff)), random.Random(0))
    assert len(drawn.bars) == len(bars)
    widths = [last - first for first, last in drawn.bars]
    assert min(widths[1:]) > 0.3 * drawn.space > widths[0]
    for m, (first, last) in enumerate(drawn.bars):
        assert drawn.heads[0, m, 3][0][0] < first <= last
        assert m == 4 or last < drawn.heads[0, m + 1, 0][0][0]


def test_no_repeat_starts_at_the_end_of_a_system() -> None:
    made = [random_system(random.Random(i), 3, 1) for i in range(150)]
    assert all(not system.staves[0][-1].bar.endswith("!|:") for system in made)
    assert any(m.bar == "=!|:" for system in made for m in system.staves[0])


def test_generated_kern_adds_up_and_verovio_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """Verovio's own parser complains on standard error of voices that end early, and draws what follows awry."""
    for sheet in islice(systems(3), 16):
        assert not rhythm(read(sheet.kern)).problems, sheet.kern
    said = capfd.readouterr()
    assert "Inconsistent" not in said.err + said.out


def test_words_are_printed_where_there_are_typefaces_and_only_there(tmp_path: Path) -> None:
    staff = tuple(notes(1, 2, 3) for _ in range(2))
    families = families_in()
    if not families:
        pytest.skip("no typefaces: neither DOCPIPE_FONTS nor matplotlib")
    edition = Edition(tempo="Allegro ma non troppo")
    dark = [
        int((np.asarray(engrave(System((staff,)), _Always(edition), given).image) < 128).sum())
        for given in ((), families[:1])
    ]
    assert dark[1] > dark[0] + 200
    assert families_in(str(tmp_path)) == ()
    assert all(len(family.files) == 4 for family in families)
