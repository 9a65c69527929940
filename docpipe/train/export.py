"""From a run's weights to a folder that ships: transformers' files, docpipe.json and a model card.

The folder loads with AutoProcessor and AutoModelForImageTextToText as with docpipe's own forward pass.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from docpipe.train.architecture import ATTENTION, build
from docpipe.train.batches import Collator
from docpipe.train.calibration import Judged, abstain_below, fit
from docpipe.train.decoding import answers
from docpipe.train.domains import domain
from docpipe.train.recipe import Recipe, Shipment, parse_recipe, read_recipe
from docpipe.train.sample import SPECIAL_TOKENS, Domain, Sample

HELD_OUT = "held_out"
"""The set of a domain that is rendered as its training data are; all others are real."""

ANSWERS = "exact"
"""The score that says whether one answer is right."""


def read_run(weights: Path) -> tuple[Any, Recipe, dict[str, Any]]:
    """The model with a run's averaged weights (best.pt or state.pt), its recipe, and all that the file holds."""
    kept = torch.load(weights, weights_only=False, map_location="cpu")
    recipe = parse_recipe(kept["recipe"])
    model = build(recipe.architecture, len(kept["vocabulary"]))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(kept["averaged"][name])
    return model.eval(), recipe, kept


def tokenizer_json(vocabulary: Sequence[str]) -> str:
    """A tokenizers file for a closed vocabulary: longest token first, decoded by joining."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    kept = Tokenizer(models.WordLevel({token: i for i, token in enumerate(vocabulary)}, unk_token=SPECIAL_TOKENS[0]))
    longest = sorted(vocabulary, key=lambda token: (-len(token), token))
    kept.pre_tokenizer = pre_tokenizers.Split(Regex("|".join(map(re.escape, longest))), "isolated")
    kept.decoder = decoders.Fuse()
    kept.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS[:4]])
    return str(kept.to_str(pretty=False))


def write_transformers(model: Any, recipe: Recipe, vocabulary: Sequence[str], folder: Path) -> None:
    """config.json, model.safetensors in float16, tokenizer and processor files."""
    from transformers import PaliGemmaProcessor, PreTrainedTokenizerFast
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    folder.mkdir(parents=True, exist_ok=True)
    side = recipe.architecture.size
    file = folder / "tokenizer.json"
    file.write_text(tokenizer_json(vocabulary))
    special = dict(zip(("pad_token", "eos_token", "bos_token"), SPECIAL_TOKENS, strict=False))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(file), **special, extra_special_tokens={"image_token": SPECIAL_TOKENS[3]}
    )
    images: Any = SiglipImageProcessorPil(
        size={"height": side, "width": side}, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3
    )
    images.image_seq_length = recipe.architecture.patches
    PaliGemmaProcessor(images, tokenizer).save_pretrained(folder)
    file.write_text(tokenizer_json(vocabulary))  # without the <loc> and <seg> tokens that the processor adds on loading
    attention = model.config._attn_implementation
    for part in (model.config, model.config.text_config, model.config.vision_config):
        part._attn_implementation = "eager" if attention == ATTENTION else attention
    half = {name: value.to(torch.float16) for name, value in model.state_dict().items()}
    model.config.dtype = torch.float16
    model.save_pretrained(folder, state_dict=half, safe_serialization=True)


def judge(
    model: Any, recipe: Recipe, made: Domain, sets: Mapping[str, Sequence[Sample]], batch: int = 32
) -> dict[str, list[Judged]]:
    """Greedy answers of the model on samples, each with its log-probabilities and whether it is exactly right."""
    collate = Collator(made, recipe.architecture.grid, recipe.architecture.patch)
    found: dict[str, list[Judged]] = {}
    for name, samples in sets.items():
        found[name] = []
        for start in range(0, len(samples), batch):
            some = samples[start : start + batch]
            arrays = collate(some)
            pixels = torch.from_numpy(arrays.pixels).float().div_(127.5).sub_(1.0)
            inputs = {
                "pixel_values": pixels[:, None].expand(-1, 3, -1, -1),
                "input_ids": torch.from_numpy(arrays.tokens),
                "attention_mask": torch.from_numpy(arrays.mask),
                "token_type_ids": torch.from_numpy(arrays.kinds),
            }
            prefix = len(collate.prefix(some[0].prompt))
            said, sure = answers(model, collate, inputs, prefix, recipe.evaluation.max_tokens)
            found[name] += [
                Judged(tuple(logs), made.score([sample], [answer])[ANSWERS] == 1.0)
                for sample, answer, logs in zip(some, said, sure, strict=True)
            ]
    return found


def export(
    weights: Path,
    folder: Path,
    shipment: Shipment | None = None,
    sets: Mapping[str, Sequence[Sample]] | None = None,
    count: int = 600,
) -> dict[str, Any]:
    """Write the folder; what docpipe.json says.

    shipment: the run's recipe says it by default. sets: samples to calibrate on, by default what the domain's
    `calibration(count)` gives (for molecules also real drawings that are too large), else its validation.
    """
    from docpipe.models.confidence import Calibration

    model, recipe, kept = read_run(weights)
    made = domain(recipe.domain, **recipe.options)
    shipment = shipment or recipe.ship
    if not shipment.name:
        raise ValueError(f"the recipe {recipe.name} does not say how to ship it: it has no [ship] table")
    if sets is None:
        sets = getattr(made, "calibration", made.validation)(count)
    judged = judge(model, recipe, made, sets)
    everything = [a for some in judged.values() for a in some]
    confidence = fit(everything)
    sure = Calibration.from_json(confidence, shipment.name)
    # What it emits must be right on real drawings, too, where there are any: renders flatter.
    real = [a for name, some in judged.items() if name != HELD_OUT for a in some]
    threshold = max(
        abstain_below([sure(a.logprobs) for a in group], [a.right for a in group])
        for group in (everything, real)
        if group
    )
    said = {
        "family": "nano",
        "name": shipment.name,
        "summary": shipment.summary,
        "licence": "Apache-2.0",
        "resize": "bilinear",
        "tasks": {
            shipment.task: {
                "prompt": shipment.prompt,
                "size": recipe.architecture.size,
                "max_tokens": shipment.max_tokens,
                "prepare": shipment.prepare,
                "options": dict(shipment.options),
            }
        },
        "confidence": {shipment.task: confidence},
        "abstain_below": {shipment.task: round(threshold, 4)},
        "training": {"step": kept["step"], "samples": kept["samples"], "cpu_seconds": round(kept["cpu"])},
        "measured": {name: _summary(some, sure, threshold) for name, some in judged.items()},
    }
    write_transformers(model, recipe, kept["vocabulary"], folder)
    (folder / "docpipe.json").write_text(json.dumps(said, indent=1) + "\n")
    (folder / "README.md").write_text(card(said, shipment, recipe, sum(p.numel() for p in model.parameters())))
    return said


def _summary(some: Sequence[Judged], sure: Any, threshold: float) -> dict[str, float]:
    given = [a.right for a in some if sure(a.logprobs) >= threshold]
    return {
        "n": len(some),
        "exact": round(sum(a.right for a in some) / max(1, len(some)), 4),
        "emitted": round(len(given) / max(1, len(some)), 4),
        "exact_of_emitted": round(sum(given) / len(given), 4) if given else 0.0,
    }


def card(said: Mapping[str, Any], shipment: Shipment, recipe: Recipe, parameters: int) -> str:
    """The model card: what it is, on what it learnt, what it reads and where it fails."""
    a, run = recipe.architecture, said["training"]
    rows = "\n".join(
        f"| {name} | {m['n']} | {m['exact']:.1%} | {m['emitted']:.1%} | {m['exact_of_emitted']:.1%} |"
        for name, m in said["measured"].items()
    )
    return f"""---
license: apache-2.0
library_name: docpipe
---
# {said["name"]}

{shipment.summary}

- Architecture: PaliGemma 2's classes, {parameters / 1e6:.2f}M parameters, {a.size} px by {a.patch} px patches
  ({a.patches} image tokens), vision {a.vision_width} x {a.vision_layers}, text {a.text_width} x {a.text_layers};
  final soft-cap {a.final_softcap}, no attention soft-cap.
- Recipe: `{recipe.name}`; {run["samples"]:,} samples in {run["step"]:,} steps,
  {run["cpu_seconds"] / 3600:.2f} CPU hours.
- Prompt: `{shipment.prompt}`; image preparation: `{shipment.prepare}`.

| set | n | exactly right | emitted by default | right of those |
|---|---|---|---|---|
{rows}

The confidence map was fitted on these same answers; below {said["abstain_below"][shipment.task]} docpipe abstains.

{shipment.card}
"""


def main() -> None:
    """`python -m docpipe.train.export RUN/best.pt --to DIR [--recipe NAME]`."""
    parser = argparse.ArgumentParser(prog="python -m docpipe.train.export", description="Make a run's weights ship.")
    parser.add_argument("weights", type=Path, help="best.pt or state.pt of a run or of a branch")
    parser.add_argument("--to", type=Path, required=True, help="the folder to write")
    parser.add_argument("--recipe", help="take [ship] from this recipe instead of the run's own")
    parser.add_argument("--count", type=int, default=600, help="samples to calibrate on")
    given = parser.parse_args()
    shipment = read_recipe(given.recipe).ship if given.recipe else None
    print(json.dumps(export(given.weights, given.to, shipment, count=given.count)["measured"], indent=1))


if __name__ == "__main__":
    main()
