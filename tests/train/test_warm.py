"""A nano run that begins with a shipped checkpoint's weights: what it reads before its first step is what it read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem, RDConfig
from rdkit.Chem.Draw import MolToImage
from safetensors.torch import load_file
from tiny import checkpoint

from docpipe.errors import DocpipeError
from docpipe.models.drawings import drawing_square
from docpipe.models.preprocess import Frame
from docpipe.models.registry import shipped
from docpipe.train.decoding import answers, seen
from docpipe.train.recipe import Recipe, read_recipe
from docpipe.train.sample import Sample
from docpipe.train.trainer import Trainer, train

FOLDER = shipped()["nano-molecule"].folder


LIST = Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi"


@pytest.fixture
def small() -> Recipe:
    made = read_recipe("molecules-small")
    return dataclasses.replace(made, options=made.options | {"smiles": [str(LIST)]})


def test_it_reads_as_the_checkpoint_does_before_its_first_step(small: Recipe, tmp_path: Path) -> None:
    trainer = Trainer(small, tmp_path / "run", begin=FOLDER)
    assert FOLDER is not None
    known = json.loads((FOLDER / "docpipe.json").read_text())["training"]
    assert (trainer.step, trainer.samples) == (known["step"], known["samples"])
    square = drawing_square(MolToImage(Chem.MolFromSmiles("CCO"), (300, 300)), Frame(128, 16))
    grey = np.asarray(square.convert("L"))
    job = trainer.job
    batch = job.collate([Sample(grey, "smiles", (), np.zeros((0, 2), np.float32), truth="CCO")])
    inputs = job.tensors(batch) | {"pixel_values": seen(batch.pixels)}
    inputs.pop("labels")
    said, _ = answers(job.model.eval(), job.collate, inputs, len(job.collate.prefix("smiles")), 20)
    assert Chem.CanonSmiles("".join(said[0])) == "CCO"
    weights = load_file(FOLDER / "model.safetensors")
    name = next(n for n in weights if n.endswith("layers.0.mlp.gate_proj.weight"))
    own = dict(job.model.named_parameters())
    assert any(p.shape == weights[name].shape and torch.equal(p.half(), weights[name]) for p in own.values())


def test_a_larger_recipe_grows_from_it_and_goes_on(small: Recipe, tmp_path: Path) -> None:
    architecture = dataclasses.replace(small.architecture, size=160)
    schedule = dataclasses.replace(small.schedule, batch=4)
    larger = dataclasses.replace(
        small, options=small.options | {"side": 160}, architecture=architecture, schedule=schedule
    )
    known = Trainer(small, tmp_path / "none", begin=FOLDER).step
    train(larger, tmp_path / "run", begin=FOLDER, steps=known + 1)
    again = Trainer(larger, tmp_path / "run", begin=FOLDER)
    assert again.step == known + 1, "what is in the folder goes before the checkpoint"


def test_other_checkpoints_are_refused(small: Recipe, tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP302 .*nano checkpoints alone"):
        Trainer(small, tmp_path / "run", begin=checkpoint(tmp_path / "other"))
    narrow = dataclasses.replace(small, architecture=dataclasses.replace(small.architecture, text_width=64))
    with pytest.raises(DocpipeError, match=r"DP302 .*another architecture"):
        Trainer(narrow, tmp_path / "run", begin=FOLDER)
