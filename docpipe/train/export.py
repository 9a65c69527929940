"""From a run's weights to a folder that ships: transformers' files, docpipe.json and a model card.

The folder loads with AutoProcessor and AutoModelForImageTextToText as with docpipe's own forward pass.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from docpipe.models.load import digest
from docpipe.models.masks import FILE_NAME
from docpipe.train.architecture import ATTENTION, build
from docpipe.train.batches import Collator
from docpipe.train.calibration import Judged, abstain_below, fit, fit_parts, silent_below
from docpipe.train.decoding import answers, by_prefix, seen
from docpipe.train.domains import domain
from docpipe.train.recipe import Recipe, Shipment, parse_recipe, read_recipe
from docpipe.train.sample import SPECIAL_TOKENS, Domain, Sample, pattern_of

if TYPE_CHECKING:
    from docpipe.models.confidence import Calibration

HELD_OUT = "held_out"
"""The set of a domain that is rendered as its training data are; all others are real."""

ANSWERS = "exact"
"""The score that says whether one answer is right."""

LEAST = 20
"""Answers that a calibration is fitted on."""


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
    kept.pre_tokenizer = pre_tokenizers.Split(Regex(pattern_of(vocabulary)), "isolated")
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
        judged: dict[int, Judged] = {}
        for numbers in by_prefix(collate, samples, batch):
            some = [samples[number] for number in numbers]
            arrays = collate(some)
            inputs = {
                "pixel_values": seen(arrays.pixels),
                "input_ids": torch.from_numpy(arrays.tokens),
                "attention_mask": torch.from_numpy(arrays.mask),
                "token_type_ids": torch.from_numpy(arrays.kinds),
            }
            prefix = len(collate.prefix(some[0].prompt))
            said, sure = answers(model, collate, inputs, prefix, recipe.evaluation.max_tokens)
            for number, sample, answer, logs in zip(numbers, some, said, sure, strict=True):
                right = made.score([sample], [answer])[ANSWERS] == 1.0
                judged[number] = Judged(tuple(logs), right, bool(answer), bool(sample.target))
        found[name] = [judged[number] for number in range(len(samples))]
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
    `calibration(count)` gives (for molecules also real drawings that are too large), else its validation. Of a
    checkpoint with several tasks each is calibrated by itself, on the samples whose slice "task" names it; one whose
    answers are not right often enough is left out (ValueError when none is left).
    A domain whose answers are put together of several (scores) reads and judges whole ones itself, with the written
    weights: `judged(folder, count)`.
    """
    model, recipe, kept = read_run(weights)
    made = domain(recipe.domain, **recipe.options)
    shipment = shipment or recipe.ship
    if not shipment.name:
        raise ValueError(f"the recipe {recipe.name} does not say how to ship it: it has no [ship] table")
    write_transformers(model, recipe, kept["vocabulary"], folder)
    if sets is None and hasattr(made, "judged"):
        sets, judged = {}, made.judged(folder, count)
    else:
        sets = getattr(made, "calibration", made.validation)(count) if sets is None else sets
        judged = judge(model, recipe, made, sets)
    said: dict[str, Any] = {
        "family": "nano",
        "name": shipment.name,
        "summary": shipment.summary,
        "licence": "Apache-2.0",
        "resize": "bilinear",
        **({"world": shipment.world} if shipment.world else {}),
        "tasks": {},
        "confidence": {},
        "abstain_below": {},
        "digest": digest(folder),
        "training": {"step": kept["step"], "samples": kept["samples"], "cpu_seconds": round(kept["cpu"])},
        "measured": {},
    }
    for entry in shipment.tasks or [{}]:
        part = dataclasses.replace(shipment, **entry)
        own = _of_task(judged, sets, part.task) if shipment.tasks else judged
        _offer(said, part, own, recipe.architecture.size, several=bool(shipment.tasks))
    if not said["tasks"]:
        (folder / "config.json").unlink()  # without its docpipe.json it would be taken for one that can do everything
        raise ValueError(f"{weights}: no task is right often enough to ship: {said['measured']}")
    codes = getattr(made, "mask_codes", None)
    if codes is not None and "segment" in said["tasks"]:
        shutil.copyfile(codes, folder / FILE_NAME)
    (folder / "docpipe.json").write_text(json.dumps(said, indent=1) + "\n")
    (folder / "README.md").write_text(card(said, shipment, recipe, sum(p.numel() for p in model.parameters())))
    return said


def _of_task(
    judged: Mapping[str, Sequence[Judged]], sets: Mapping[str, Sequence[Sample]], task: str
) -> dict[str, list[Judged]]:
    """The answers to one task, set by set, without the sets that have none."""
    found = {
        name: [a for a, sample in zip(some, sets[name], strict=True) if sample.slices.get("task") == task]
        for name, some in judged.items()
    }
    return {name: some for name, some in found.items() if some}


def _offer(
    said: dict[str, Any], part: Shipment, judged: Mapping[str, Sequence[Judged]], side: int, several: bool
) -> None:
    """Put a task with its calibration, its threshold and what was measured into docpipe.json."""
    from docpipe.models.confidence import Calibration

    task = part.task
    everything = [a for some in judged.values() for a in some if a.given]
    threshold, sure = 1.01, None
    if not several or len(everything) >= LEAST:
        confidence = fit(everything)
        sure = Calibration.from_json(confidence, part.name)
        threshold = _threshold(judged, sure)
        if not several or threshold <= 1.0:
            said["confidence"][task] = confidence
            said["abstain_below"][task] = round(threshold, 4)
            if parts := fit_parts(judged):
                said.setdefault("part_confidence", {})[task] = parts
            said["tasks"][task] = {
                "prompt": part.prompt,
                "size": side,
                "max_tokens": part.max_tokens,
                "prepare": part.prepare,
                "options": dict(part.options),
            }
    for name, some in judged.items():
        said["measured"][f"{task}, {name}" if several else name] = _summary(some, sure, threshold)


def _threshold(judged: Mapping[str, Sequence[Judged]], sure: Calibration) -> float:
    """Where abstaining ends: what is emitted must be right, on real drawings too where there are any (renders
    flatter), and where no answer is the right one nearly nothing may be emitted.
    """
    wanted = {name: [a for a in some if a.given] for name, some in judged.items() if any(a.wanted for a in some)}
    everything = [a for some in wanted.values() for a in some]
    real = [a for name, some in wanted.items() if name != HELD_OUT for a in some]
    found = [
        abstain_below([sure(a.logprobs) for a in group], [a.right for a in group])
        for group in (everything, real)
        if group
    ]
    for some in judged.values():
        if not any(a.wanted for a in some):
            found.append(silent_below([sure(a.logprobs) for a in some if a.given], len(some)))
    return max(found, default=1.01)


def _summary(some: Sequence[Judged], sure: Calibration | None, threshold: float) -> dict[str, float]:
    given = [a.right for a in some if a.given and sure is not None and sure(a.logprobs) >= threshold]
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
    prompts = "\n".join(
        f"- Prompt: `{task['prompt']}`; image preparation: `{task['prepare']}`."
        if not shipment.tasks
        else f"- {name}: `{task['prompt']}`; image preparation: `{task['prepare']}`."
        for name, task in said["tasks"].items()
    )
    left_out = [entry["task"] for entry in shipment.tasks if entry["task"] not in said["tasks"]]
    least = ", ".join(
        f"{value}" if not shipment.tasks else f"{value} ({name})" for name, value in said["abstain_below"].items()
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
{prompts}

| set | n | exactly right | emitted by default | right of those |
|---|---|---|---|---|
{rows}

The confidence map was fitted on these same answers; below {least} docpipe abstains.
{_of_parts(said)}{f"{chr(10)}Not offered, being right too seldom: {', '.join(left_out)}.{chr(10)}" if left_out else ""}
{shipment.card}
"""


def _of_parts(said: Mapping[str, Any]) -> str:
    """What the card says of the parts that have a confidence of their own: a score's measures."""
    rows = [
        f"| {name} | {m['n']} | {m['exact']:.1%} | {m['ece_before']:.3f} | {m['ece']:.3f} |"
        for parts in said.get("part_confidence", {}).values()
        for name, m in parts["measured"].items()
    ]
    if not rows:
        return ""
    table = "\n".join(rows)
    return f"""
Each measure has a confidence of its own: how often such measures are exactly right, fitted on these same ones
(before and after: the calibration error of the tokens' joint probability, and of that confidence).

| measures of | n | exactly right | before | after |
|---|---|---|---|---|
{table}
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
