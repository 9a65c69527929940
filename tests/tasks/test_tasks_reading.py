"""The reading tasks: what they are for, how they ask, prepare, parse, check and score."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PIL import Image

from docpipe.document import TEXT_KINDS, MoleculeContent, PictureContent, ScoreContent, TextContent
from docpipe.tasks import get_task, prompt_for


def test_every_kind_of_text_is_read_by_the_text_task() -> None:
    assert get_task("text").reads == TEXT_KINDS
    assert get_task("molecule").reads == {"molecule"}
    assert get_task("score").reads == {"score"}
    assert get_task("caption").reads == {"picture", "chart"}


@pytest.mark.parametrize(
    ("name", "family", "prompt"),
    [
        ("text", "mix", "ocr"),
        ("caption", "pt", "caption de"),
        ("molecule", "nano", "smiles"),
        ("molecule", "mix", "smiles"),
        ("score", "nano", "kern"),
    ],
)
def test_prompts_by_family(name: str, family: str, prompt: str) -> None:
    assert prompt_for(get_task(name), family, language="de") == prompt


def test_sizes_and_lengths_are_those_of_the_papers() -> None:
    sizes = {name: (get_task(name).size, get_task(name).max_tokens) for name in ("molecule", "score", "caption")}
    assert sizes == {"molecule": (448, 256), "score": (896, 1024), "caption": (448, 192)}


@pytest.mark.parametrize(("name", "size"), [("molecule", (60, 60)), ("score", (60, 60)), ("text", (60, 20))])
def test_molecules_and_scores_are_padded_to_a_white_square_and_text_is_not(name: str, size: tuple[int, int]) -> None:
    prepared = get_task(name).prepare(Image.new("RGB", (60, 20), "black"))
    assert prepared.size == size
    if size == (60, 60):
        assert prepared.getpixel((0, 0)) == (255, 255, 255)
        assert prepared.getpixel((30, 30)) == (0, 0, 0)


def test_answers_become_contents() -> None:
    assert get_task("text").parse(" one \n two\n") == TextContent(text="one\ntwo")
    assert get_task("molecule").parse("CCO") == MoleculeContent(smiles="CCO")
    assert get_task("score").parse("**ekern_1.0<b>4@c<b>*-") == ScoreContent(kern="**kern\n4c\n*-")
    assert get_task("caption").parse(" a cat ") == PictureContent(alt="a cat")


def test_metrics_know_a_right_answer_from_a_wrong_one() -> None:
    assert get_task("molecule").metric("OCC", "CCO") == 1
    assert get_task("molecule").metric("CCN", "CCO") == 0
    for name in ("text", "score"):  # error rates
        assert get_task(name).metric("4c\n4d", "4c\n4d") == 0
        assert get_task(name).metric("4c\n4e", "4c\n4d") > 0
    assert get_task("caption").metric("a cat", "a cat") == 1


def test_looking_tasks_up_imports_no_heavy_library() -> None:
    code = (
        "import sys, docpipe.tasks as t; t.task_names();"
        "print([m for m in ('torch', 'rdkit', 'music21', 'cv2', 'fitz') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
