"""The grammar of strip tokens: it takes what the encoder writes, refuses what is no music, and never leads nowhere."""

from __future__ import annotations

import random

import pytest

from docpipe.notation.kern import read
from docpipe.notation.kern_assembly import to_kern
from docpipe.notation.kern_grammar import ANY, END, LASTS, TICKS, Grammar, State, broken_at, members
from docpipe.notation.kern_tokens import VOCABULARY, decode, encode
from docpipe.notation.staff import duration
from docpipe.train.synth.music.piece import random_system


def walk(rng: random.Random, grammar: Grammar, longest: int = 400) -> list[str]:
    """A random answer within a grammar; bars and ends are taken gladly, so that it ends."""
    state, tokens = State(), []
    while len(tokens) < longest:
        groups = grammar.follow(state)
        assert any(members(group) for group in groups), f"nothing may follow {tokens[-8:]}"
        ending = [group for group in groups if group[0] in ("end", "bar")]
        group = ending[0] if ending and rng.random() < 0.5 else rng.choice([g for g in groups if members(g)])
        token = rng.choice(members(group))
        if token == END:
            return tokens
        tokens.append(token)
        state = grammar.after(state, token)
    return tokens


def test_it_takes_what_generated_music_is_written_as() -> None:
    rng = random.Random(4)
    seen = taken = 0
    for _ in range(60):
        for staff in random_system(rng, 3, 2).staves:
            for measure in staff:
                try:
                    tokens = encode([measure])
                except ValueError:
                    continue
                seen += 1
                taken += broken_at(tokens) is None
    assert seen > 200
    assert taken / seen > 0.99  # grace notes before a second voice come in another order now and then


@pytest.mark.parametrize(
    ("tokens", "at"),
    [
        ("4 p0 4 p2 =", None),
        ("*G2 k-3 M3/4 x4 2. p-2 p0 =", None),
        ("2 p0 + 4 p-5 + 4 p-4 =", None),
        ("4 p0", 2),  # no bar
        ("4 =", 1),  # a note without a head
        ("4 p2 p0 =", 2),  # heads go up
        ("4 p0 p0 =", 2),
        ("r4 p0 =", 1),  # a rest has no head
        ("x9 x12 4 p0 =", 1),
        ("x9 4 p0 x5 4 p0 =", 3),  # columns go right
        ("4 a# =", 2),  # an accidental before nothing
        ("4 p0 m' =", 2),  # marks before heads
        ("8L p0 + 2 p-5 + 4 p-4 =", 5),  # the lower voice is ahead and must wait
        ("= =", 0),
        ("4 p0 = 4 p0 = 4 p0 =", 6),  # a strip holds two measures at most
        ("r4 ( =", 1),
        ("R R =", 1),
    ],
)
def test_it_refuses_what_is_no_music(tokens: str, at: int | None) -> None:
    assert broken_at(tokens.split()) == at


def test_a_measure_may_be_held_to_its_length() -> None:
    three = Grammar(length=3 * TICKS)
    assert broken_at("2 p0 4 p0 =".split(), three) is None
    assert broken_at("2 p0 =".split(), three) == 2
    assert broken_at("2 p0 2 p0 =".split(), three) == 2
    assert broken_at("R =".split(), three) is None


def test_durations_are_whole_ticks() -> None:
    assert all(duration(t.lstrip("ry").rstrip("LMJ")) * TICKS == ticks for t, ticks in LASTS.items())


def test_every_token_may_come_somewhere() -> None:
    rng, found = random.Random(2), set()
    for _ in range(1500):
        found |= set(walk(rng, ANY))
    assert len(set(VOCABULARY) - found) < 12


@pytest.mark.parametrize("grammar", [ANY, Grammar(timed=False), Grammar(length=3 * TICKS), Grammar(length=TICKS // 2)])
def test_random_answers_come_to_an_end_and_are_kern_with_whole_spines(grammar: Grammar) -> None:
    rng = random.Random(7)
    walks = [walk(rng, grammar) for _ in range(160)]
    ended = [tokens for tokens in walks if tokens[-1].startswith("=")]
    assert len(ended) > (60 if grammar.length else 155)  # odd parts of a beat may leave a rest that no token fills
    for upper, lower in zip(ended[::2], ended[1::2], strict=False):
        text = to_kern([[upper], [lower]])
        codes = {problem.code for problem in read(text).problems}
        assert not codes, text
        if grammar.length:
            first = decode(upper)[0]
            assert first.lasts * TICKS in (0, grammar.length)
