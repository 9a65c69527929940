"""Old type: close rivals are taken on a page in Fraktur and nowhere else."""

from __future__ import annotations

from docpipe.engines.ocr_models import Character
from docpipe.engines.old_type import is_old_type, modernized


def letters(text: str, rivals: dict[int, float]) -> list[Character]:
    return [Character(c, 0.5, 0.9, 0.0, rivals.get(n, 0.0)) for n, c in enumerate(text)]


FRAKTUR = [
    letters("fich fo", {0: 0.1, 5: 0.2}),
    letters("wiffen", {2: 0.1, 3: 0.3}),
    letters("auf für", {2: 1e-4, 4: 1e-4}),
]
MODERN = [letters("fast often firm of for if", {0: 1e-6, 6: 1e-5, 10: 1e-6})]


def test_a_page_is_in_old_type_when_many_f_are_nearly_s():
    assert is_old_type(FRAKTUR)
    assert not is_old_type(MODERN)
    assert not is_old_type(FRAKTUR[:1])


def test_a_long_s_becomes_s_and_a_true_f_stays():
    assert "".join(c.text for c in modernized(FRAKTUR[0])) == "sich so"
    assert "".join(c.text for c in modernized(FRAKTUR[2])) == "auf für"


def test_a_d_becomes_c_before_h_alone():
    read = letters("idh oder", {1: 0.3, 5: 0.3})
    assert "".join(c.text for c in modernized(read)) == "ich oder"


def test_the_c_of_ch_stays_and_another_becomes_e():
    read = letters("sich cin", {2: 0.3, 5: 0.3})
    assert "".join(c.text for c in modernized(read)) == "sich ein"
