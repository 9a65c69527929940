"""Metrics of captions against the published implementations."""

from __future__ import annotations

import random

import pytest
import sacrebleu
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from rouge_score.rouge_scorer import RougeScorer

from docpipe.metrics.bleu import bleu_4
from docpipe.metrics.cider import cider_d, cider_scores
from docpipe.metrics.rouge import rouge_l
from docpipe.metrics.subsequence import common, common_share
from docpipe.metrics.words import words

WORDS = "a the cat dog sits stands on under by red mat chair large old and with".split()


def corpus(seed: int, images: int = 12) -> tuple[list[str], list[list[str]]]:
    """Captions made of few words, each answer near one of its references."""
    rng = random.Random(seed)

    def sentence() -> list[str]:
        return [rng.choice(WORDS) for _ in range(rng.randint(4, 12))]

    truths = [[sentence() for _ in range(rng.randint(1, 5))] for _ in range(images)]
    answers = [[w for w in rng.choice(several) if rng.random() > 0.2] or ["cat"] for several in truths]
    return [" ".join(a) for a in answers], [[" ".join(t) for t in several] for several in truths]


@pytest.mark.parametrize("seed", range(8))
def test_cider_d_agrees_with_coco_s_code(seed: int) -> None:
    answers, truths = corpus(seed)
    mean, each = Cider().compute_score(dict(enumerate(truths)), {i: [a] for i, a in enumerate(answers)})
    assert cider_scores(answers, truths) == pytest.approx(list(each), abs=1e-9)
    assert cider_d(answers, truths) == pytest.approx(mean, abs=1e-9)


def test_cider_weighs_what_sets_an_image_apart() -> None:
    truths = [["a red fox in the snow"], ["a dog in the snow"], ["a cow in the grass"]]
    named, common_words = (
        cider_scores(["a red fox", "", ""], truths)[0],
        cider_scores(["in the snow", "", ""], truths)[0],
    )
    assert named > common_words > 0
    assert cider_scores(["a red fox in the snow"], [["a red fox in the snow"]]) == [0.0]
    with pytest.raises(ValueError, match="1 answers, 0 truths"):
        cider_d(["a"], [])


@pytest.mark.parametrize("seed", range(8))
def test_bleu_agrees_with_sacrebleu_and_coco_s_code(seed: int) -> None:
    answers, truths = corpus(seed)
    most = max(len(several) for several in truths)
    columns = [[several[i] if i < len(several) else None for several in truths] for i in range(most)]
    wanted = sacrebleu.corpus_bleu(answers, columns, smooth_method="none", tokenize="none").score / 100
    assert bleu_4(answers, truths) == pytest.approx(wanted)
    scores, _ = Bleu(4).compute_score(dict(enumerate(truths)), {i: [a] for i, a in enumerate(answers)}, verbose=0)
    assert bleu_4(answers, truths) == pytest.approx(scores[3], abs=1e-6)


def test_bleu_of_a_worked_case() -> None:
    # 4 of 5 words, 2 of 4 pairs, 1 of 3 triples, 0 of 2 fours: no four in a row, no score.
    assert bleu_4(["the cat sat on mat"], [["the cat on the mat"]]) == 0
    # All grams hit; 5 words for 6: exp(1 - 6/5).
    assert bleu_4(["the cat sat on the"], [["the cat sat on the mat"]]) == pytest.approx(0.8187307531)
    assert bleu_4([], []) == 0


@pytest.mark.parametrize("seed", range(8))
def test_rouge_l_agrees_with_rouge_score(seed: int) -> None:
    answers, truths = corpus(seed)
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    for answer, several in zip(answers, truths, strict=True):
        assert rouge_l(answer, several[0]) == pytest.approx(scorer.score(several[0], answer)["rougeL"].fmeasure)


def test_the_longest_common_subsequence_of_known_pairs() -> None:
    assert common("XMJYAUZ", "MZJAWXU") == 4
    assert common("", "abc") == 0
    assert common_share("", "") == 1
    rng = random.Random(0)
    for _ in range(200):
        a, b = ("".join(rng.choice("abc") for _ in range(rng.randint(0, 90))) for _ in range(2))
        row = [0] * (len(b) + 1)
        for x in a:
            diagonal = 0
            for j, y in enumerate(b, 1):
                diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
        assert common(a, b) == row[-1]


def test_words_are_lower_cased_runs_of_letters_and_digits() -> None:
    assert words("A dog's 2nd bone, well-known.") == ["a", "dog", "s", "2nd", "bone", "well", "known"]
