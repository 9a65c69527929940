"""The papers' loss: against its definition written out, and against big_vision's own figures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from docpipe.models.registry import read_folder
from docpipe.train.dataset import place
from docpipe.train.finetune import FineTuneJob
from docpipe.train.loss import answer_losses, smoothed
from docpipe.train.mixture import FileBatch
from docpipe.train.plan import PAPER, Adaptation, Data, FineTune
from docpipe.train.processes import Processes
from docpipe.train.recipe import Schedule

GOLDEN = Path(__file__).parent.parent / "golden"


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def test_long_answers_weigh_no_more_than_short_ones() -> None:
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    targets, rows = torch.tensor([1, 2, 3, 4, 6]), torch.tensor([0, 0, 0, 0, 2])
    found = answer_losses(logits, targets, rows, 3)
    each = -log_softmax(logits.numpy())[np.arange(5), targets.numpy()]
    assert found.tolist() == pytest.approx([each[:4].mean(), 0.0, each[4]], abs=1e-5)


def test_smoothing_goes_to_the_other_tokens_alone() -> None:
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(1)) * 3
    targets = torch.tensor([0, 3, 8, 3])
    wanted = np.full((4, 9), 0.3 / 8)
    wanted[np.arange(4), targets.numpy()] = 0.7
    by_hand = -(wanted * log_softmax(logits.numpy())).sum(-1)
    assert smoothed(logits, targets, 0.3).tolist() == pytest.approx(by_hand.tolist(), abs=1e-5)
    torchs = torch.nn.functional.cross_entropy(logits, targets, reduction="none", label_smoothing=0.3)
    assert not torch.allclose(smoothed(logits, targets, 0.3), torchs, atol=1e-3)


def job_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FineTuneJob:
    monkeypatch.setattr("docpipe.train.finetune.native_bfloat16", lambda: False)
    data = tiny.shades(tmp_path / "data", 4, answers=("abc", "bc"))
    plan = FineTune("x", (Data("x", "question", "jsonl", hold_out=2),), adapt=Adaptation(),
                    schedule=Schedule(**PAPER | {"steps": 1}))  # fmt: skip
    return FineTuneJob(plan, read_folder(folder), place(plan, [str(data)]), tmp_path, Processes())


def arrays(job: FineTuneJob, image: np.ndarray, text: np.ndarray, causal: np.ndarray, loss: np.ndarray,
           real: np.ndarray) -> FileBatch:  # fmt: skip
    """A batch of big_vision's arrays: image tokens put before, pixels given as they would be in bytes."""
    patches = np.full((len(text), job.prepare.config.vision.tokens), 0, np.int64)
    tokens = np.concatenate([patches + job.prepare.config.image_token, text], 1)
    kinds, mask = np.concatenate([patches, causal], 1), np.concatenate([patches + 1, real], 1)
    asked = np.concatenate([patches, loss], 1) > 0
    targets = np.where(asked, tokens, -100)
    return FileBatch((image + 1) * 127.5, tokens, kinds.astype(np.int64), mask.astype(np.int64), targets)


def test_the_loss_of_training_is_that_of_big_visions_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mask, positions, missing soft-cap and the cut of padded rows, all at once."""
    with np.load(GOLDEN / "tiny_10b" / "cases.npz") as z:
        image, text, causal, logits = (z[f"prefix_lm.{k}"] for k in ("image", "text", "mask_ar", "logits"))
    job = job_on(GOLDEN / "tiny_10b", tmp_path, monkeypatch)
    assert job.answerable == logits.shape[-1]
    batch = arrays(job, image, text, causal, causal, np.ones_like(text))
    each = -log_softmax(logits)[0, np.arange(text.shape[1] - 1), text[0, 1:]]
    wanted = each[causal[0, 1:] == 1].mean()
    with torch.no_grad():
        assert job.answer_losses(batch).item() == pytest.approx(wanted, abs=1e-3)
        inputs = job.inputs(batch)
        theirs = job.core(**inputs, labels=torch.from_numpy(batch.targets)).loss.item()
    assert abs(theirs - wanted) > 0.05  # transformers' own loss is another


@pytest.mark.slow
@pytest.mark.skipif("DOCPIPE_GOLDEN" not in os.environ, reason="DOCPIPE_GOLDEN names no folder")
@pytest.mark.parametrize("name", ["tiny_3b", "tiny_10b", "tiny_28b"])
def test_a_padded_batch_has_big_visions_losses(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = Path(os.environ["DOCPIPE_GOLDEN"])
    folder = tmp_path / name  # all three have the same vocabulary
    shutil.copytree(golden / "models" / name, folder)
    shutil.copyfile(GOLDEN / "tiny_10b" / "tokenizer.json", folder / "tokenizer.json")
    job = job_on(folder, tmp_path, monkeypatch)
    with np.load(golden / "cases" / f"{name}_padded.npz") as z:
        batch = arrays(job, z["image"], z["text"], z["mask_ar"], z["mask_loss"], z["mask_input"])
        per_row, smooth = z["loss_per_row"], float(z["loss_ls03"])
    with torch.no_grad():
        assert job.answer_losses(batch).tolist() == pytest.approx(per_row.tolist(), abs=1e-3)
        assert job.answer_losses(batch, 0.3).mean().item() == pytest.approx(smooth, abs=1e-3)
