"""No check raises, whatever it is given, and what it gives back can be judged again and written to JSON."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from docpipe.checks import Check
from docpipe.checks.kern import check_score
from docpipe.checks.picture import check_picture
from docpipe.checks.smiles import check_molecule
from docpipe.checks.text import check_text
from docpipe.document import (
    AnswerContent,
    Content,
    MoleculeContent,
    PictureContent,
    ScoreContent,
    TextContent,
    canonical,
)
from docpipe.tasks import get_task

KERN = st.lists(
    st.lists(
        st.sampled_from("**kern *^ *v *- * *x *+ *clefG2 *clefZ9 *k[f#] *k[x *M3/4 *M0/0 = == =:|! 4c 8dL 8eJ [4f 4f] "
                        "(16g) 4r . 2cc#_ 8qb 0C 3%2d 4%0e 00 x !x".split()),
        min_size=1, max_size=4,
    ).map("\t".join),
    max_size=12,
).map("\n".join)  # fmt: skip
SMILES = st.text(alphabet="CNOcno()[]123=#+-@/\\%.*HPhR ", max_size=40)


def hold(check: Check, content: Content) -> None:
    first = check(content)
    assert first.content is not None
    first.content.model_dump_json()
    first.verdict.model_dump_json()
    assert first.verdict.status in {"valid", "repaired", "invalid", "unchecked"}
    assert all(finding.code != "check.failed" for finding in first.verdict.findings), first.verdict
    assert (first.verdict.original is None) or first.verdict.original == canonical(content)
    if first.verdict.status in {"valid", "repaired"}:
        again = check(first.content)
        assert again.verdict.status in {"valid", "repaired", "unchecked"}, (content, first, again)


@settings(max_examples=150, deadline=None)
@given(st.one_of(SMILES, st.text(max_size=60)))
@example("[" * 50)
@example("C1" * 30)
@example("C" + "(" * 300 + "C" + ")" * 300)
@example("[9999999999999999999C]")
@example("C%99999C")
def test_molecules(text: str) -> None:
    hold(check_molecule, MoleculeContent(smiles=text))


@settings(max_examples=150, deadline=None)
@given(st.one_of(KERN, st.text(max_size=80)))
@example("**kern\n" + "*^\n" * 3)
@example("**kern\n4c" + "." * 5000)
@example("**kern\n" + "9" * 5000 + "c\n*-")
@example("\t\t\t\n*-\t*-\n")
@example("**kern\n*-\n**kern\n4c\n*-\n")
def test_scores(text: str) -> None:
    hold(check_score, ScoreContent(kern=text))


class Crop:
    def __init__(self, size: tuple[int, int]) -> None:
        self.image = Image.new("RGB", size, "white")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200), st.sampled_from([None, (1, 1), (0, 0), (7, 300), (200, 40)]))
@example("a" * 5000, None)
@example("ab" * 3000 + "c", None)
def test_text(text: str, size: tuple[int, int] | None) -> None:
    content = TextContent(text=text)
    verdict = check_text(content, Crop(size) if size else None).verdict
    assert all(finding.code != "check.failed" for finding in verdict.findings), verdict
    hold(check_text, content)
    hold(check_picture, PictureContent(alt=text))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=120), st.sampled_from(["text", "molecule", "score", "caption"]))
def test_any_answer_of_a_model_is_parsed_and_judged(text: str, name: str) -> None:
    task = get_task(name)
    hold(task.check, task.parse(text))


@pytest.mark.parametrize("check", [check_molecule, check_score, check_text, check_picture])
def test_another_kind_of_content_passes_unjudged(check: Check) -> None:
    content = AnswerContent(answer="7")
    assert check(content).content == content
    assert check(content).verdict.status == "unchecked"
