"""What is exported loads with transformers' auto classes and with docpipe's own network, and answers alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_trainer import RECIPE, Squares

from docpipe.models.decode import generate
from docpipe.models.load import load_network
from docpipe.models.preprocess import to_pixels
from docpipe.models.registry import read_folder
from docpipe.models.tokenizer import Tokenizer
from docpipe.train.domains.molecules import VOCABULARY, tokenize
from docpipe.train.export import export, read_run, tokenizer_json
from docpipe.train.recipe import Shipment
from docpipe.train.sample import SPECIAL_TOKENS
from docpipe.train.trainer import Trainer

SHIPMENT = Shipment("nano-squares", "molecule", "look", "white-square", 8, {"bond": 3.0}, "A toy.", "Only for tests.")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    trainer = Trainer(RECIPE, folder)
    from docpipe.train.batches import batches

    for batch, _ in zip(batches(trainer.job.domain, trainer.job.collate, 1, 8), range(60), strict=False):
        trainer.take_step(batch, 1.0)
    trainer.save()
    samples = Squares().validation(6)["held_out"] * 4
    export(folder / "state.pt", folder / "shipped", SHIPMENT, {"held_out": samples})
    return folder


def test_both_ways_of_loading_give_the_answers_of_training(shipped: Path) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = shipped / "shipped"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    network = load_network(folder)
    tokenizer = Tokenizer(folder, network.config)
    trained, *_ = read_run(shipped / "state.pt")
    assert {p.dtype for p in trained.parameters()} == {torch.float32}
    right = 0
    for sample in Squares().validation(6)["held_out"]:
        image = Image.fromarray(sample.pixels).convert("RGB")
        inputs = processor(images=image, text="<image>look", return_tensors="pt")
        inputs.pop("labels", None)
        assert inputs["input_ids"][0, -3:].tolist() == [2, 5, 4]
        with torch.no_grad():
            logits = model(**inputs).logits[0, -1]
            ours = trained(**inputs).logits[0, -1]
            out = model.generate(**inputs, max_new_tokens=8, do_sample=False)
        assert (logits - ours).abs().max() < 0.05  # float16 on disk
        theirs = processor.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        decoded = generate(network, to_pixels([image]), [tokenizer.prompt("look")], [8])[0]
        assert tokenizer.text(decoded.tokens) == theirs
        right += theirs == sample.truth
    assert right >= 4


def test_docpipe_json_is_what_the_registry_reads(shipped: Path) -> None:
    checkpoint = read_folder(shipped / "shipped")
    assert checkpoint.name == "nano-squares"
    assert checkpoint.can_read("molecule")
    assert not checkpoint.can_read("table")
    assert checkpoint.settings["molecule"].prepare == "white-square"
    assert checkpoint.settings["molecule"].options == {"bond": 3.0}
    assert 0 <= checkpoint.calibration["molecule"]((-0.1,)) <= 1
    said = json.loads((shipped / "shipped" / "docpipe.json").read_text())
    assert set(said["measured"]["held_out"]) == {"n", "exact", "emitted", "exact_of_emitted"}
    assert (shipped / "shipped" / "README.md").read_text().startswith("---\nlicense")


def test_weights_are_float16_and_no_training_head_ships(shipped: Path) -> None:
    from safetensors import safe_open

    with safe_open(shipped / "shipped" / "model.safetensors", "pt") as file:
        names = list(file.keys())
        assert {file.get_tensor(name).dtype for name in names} == {torch.float16}
    assert not any("auxiliary" in name or "middle" in name for name in names)


def test_every_smiles_survives_the_tokenizer_file() -> None:
    from tokenizers import Tokenizer as Kept

    kept = Kept.from_str(tokenizer_json([*SPECIAL_TOKENS, "smiles", *VOCABULARY]))
    for smiles in ("ClC[C@@H](Br)C(=O)[O-]", "[Na+].CC#N", "C/C=C\\C", "C1CC%10CC1.C%10"):
        ids = kept.encode(smiles, add_special_tokens=False).ids
        assert kept.decode(ids) == smiles
        assert [kept.id_to_token(i) for i in ids] == [token for token, _ in tokenize(smiles)]
    assert kept.encode("smiles", add_special_tokens=False).tokens == ["smiles"]
    assert np.unique([kept.token_to_id(t) for t in (*SPECIAL_TOKENS, "smiles", *VOCABULARY)]).size == 256


def test_a_run_that_does_not_say_how_to_ship_is_an_error(shipped: Path) -> None:
    with pytest.raises(ValueError, match=r"no \[ship\] table"):
        export(shipped / "state.pt", shipped / "nowhere")
