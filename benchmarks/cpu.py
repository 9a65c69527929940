"""PaliGemma 2 on this CPU: docpipe's quantized engine beside transformers, A B A B in one run, against its targets.

    python benchmarks/cpu.py [--size 3b] [--layers 4] [--batch 1 4 8] [--threads 1] [--tokens 24] [--json FILE]
    python benchmarks/cpu.py --small        # the same rows on a shrunken shape, in a minute: no figure means anything

True 3B widths with random weights. Beside transformers `--layers` layers of each tower are run with the head whole, and
what a layer takes is multiplied by their number (transformers' model of all layers in float32 does not fit beside
ours); decoding against the roofline, drafts, the 448 px crop, start-up and peak memory are of docpipe's engine with all
layers. Wall times; the machine should be idle. The first lines say which processor a figure is from. Fidelity is of
weights with outlier channels and tokens put in, and of nano's answers on drawings (DOCPIPE_BENCH_DATA).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from docpipe.models.calibrate import fidelity, inputs_of, layer_errors, treatment_of
from docpipe.models.cpu import features
from docpipe.models.decode import generate, prefill
from docpipe.models.draft import generate_with_draft
from docpipe.models.memory import published_config
from docpipe.models.network import Network, NetworkConfig
from docpipe.models.quantize import Choice, choose, quantize
from docpipe.models.quantized import load
from docpipe.models.speed import arithmetic, bandwidth, best, random_network, weight_bytes

PROMPT = [2, *range(5, 13), 4]


def cut(config: NetworkConfig, layers: int) -> NetworkConfig:
    """The configuration with fewer layers of the same widths."""
    return replace(config, vision=replace(config.vision, layers=layers), text=replace(config.text, layers=layers))


def transformers_model(config: NetworkConfig, dtype: torch.dtype) -> Any:
    """transformers' model of that configuration with random weights, eager as it runs Gemma 2."""
    from transformers import Gemma2Config, PaliGemmaConfig, PaliGemmaForConditionalGeneration, SiglipVisionConfig

    v, t = config.vision, config.text
    made = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(
            hidden_size=v.width, intermediate_size=v.hidden, num_hidden_layers=v.layers, num_attention_heads=v.heads,
            patch_size=v.patch, image_size=v.side, vision_use_head=False, hidden_act="gelu_pytorch_tanh",
        ),
        text_config=Gemma2Config(
            hidden_size=t.width, intermediate_size=t.hidden, num_hidden_layers=t.layers, num_attention_heads=t.heads,
            num_key_value_heads=t.kv_heads, head_dim=t.head, query_pre_attn_scalar=int(t.scale_from),
            vocab_size=t.vocabulary,
        ),
        image_token_index=t.vocabulary - 1, projection_dim=t.width, vocab_size=t.vocabulary, bos_token_id=2,
        eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    made._attn_implementation = "eager"
    torch.set_default_dtype(dtype)
    model = PaliGemmaForConditionalGeneration(made).eval()
    torch.set_default_dtype(torch.float32)
    return model


class Theirs:
    """transformers: the same three parts."""

    def __init__(self, config: NetworkConfig, dtype: torch.dtype) -> None:
        self.config, self.model, self.dtype = config, transformers_model(config, dtype), dtype

    def inputs(self, batch: int) -> dict[str, torch.Tensor]:
        n, image = self.config.vision.tokens, self.config.text.vocabulary - 1
        ids = torch.tensor([[image] * n + PROMPT] * batch)
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "token_type_ids": torch.zeros_like(ids),
            "pixel_values": torch.zeros(batch, 3, self.config.vision.side, self.config.vision.side, dtype=self.dtype),
        }

    def vision(self, batch: int) -> None:
        self.model.model.get_image_features(self.inputs(batch)["pixel_values"])

    def generate(self, batch: int, tokens: int) -> None:
        self.model.generate(**self.inputs(batch), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)


class Ours:
    """docpipe's engine."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.side = network.config.vision.side

    def vision(self, batch: int) -> None:
        self.network.see(torch.zeros(batch, 3, self.side, self.side))

    def generate(self, batch: int, tokens: int) -> None:
        generate(self.network, torch.zeros(batch, 3, self.side, self.side), [PROMPT] * batch, tokens, eos=-1)


@torch.inference_mode()
def parts(engine: Any, batch: int, tokens: int) -> dict[str, float]:
    """Seconds of vision, of prefill without vision, and of one decoding step."""

    def timed(run: Any, *given: Any) -> float:
        began = time.perf_counter()
        run(*given)
        return time.perf_counter() - began

    vision = timed(engine.vision, batch)
    first = timed(engine.generate, batch, 1)
    whole = timed(engine.generate, batch, tokens)
    return {"vision": vision, "prefill": max(0.0, first - vision), "step": (whole - first) / (tokens - 1)}


def interleaved(engines: dict[str, Any], batch: int, tokens: int, rounds: int = 2) -> dict[str, dict[str, float]]:
    """The parts of each engine, best of rounds A B A B after one to warm up."""
    fastest: dict[str, dict[str, float]] = {}
    for engine in engines.values():
        parts(engine, batch, 2)
    for _ in range(rounds):
        for name, engine in engines.items():
            found = parts(engine, batch, tokens)
            before = fastest.get(name, found)
            fastest[name] = {part: min(before[part], found[part]) for part in found}
    return fastest


def scaled(found: dict[str, float], head: float, have: int, config: NetworkConfig) -> dict[str, float]:
    """Parts of a network of `have` layers as those of all layers; the head's share stays."""
    t, v = config.text.layers / have, config.vision.layers / have
    return {
        "vision": found["vision"] * v,
        "prefill": (found["prefill"] - head) * t + head,
        "step": (found["step"] - head) * t + head,
    }


@torch.inference_mode()
def drafted(network: Network, tokens: int) -> dict[str, float]:
    """Decoding with a draft that is right, 80 % right, and none: tokens a second, and their ratio.

    Random weights give logits that nearly tie at every third token, where those of a trained network do at few, so
    what nearly ties is not computed again here (`sure`); `same` says how many tokens are those of plain decoding.
    """
    side = network.config.vision.side
    words = torch.randn(4096, network.config.text.width) * 0.02
    network.words.data[:4096] = words.to(network.words.dtype)  # zeros would be one token over and over
    pixels = torch.zeros(1, 3, side, side)
    (right,) = generate(network, pixels, [PROMPT], tokens, eos=-1)
    wrong = [token if i % 5 else (token + 7) % 1000 + 5 for i, token in enumerate(right.tokens)]
    found: dict[str, float] = {}

    def seconds(run: Any) -> tuple[float, Any]:
        began = time.perf_counter()
        made = run()
        return time.perf_counter() - began, made

    before = min(seconds(lambda: prefill(network, pixels, [PROMPT], tokens + 8))[0] for _ in range(2))
    plain = min(seconds(lambda: generate(network, pixels, [PROMPT], tokens, eos=-1))[0] for _ in range(2))
    found["none"] = tokens / (plain - before)
    for name, draft in (("80 %", wrong), ("right", right.tokens)):
        runs = [
            seconds(lambda draft=draft: generate_with_draft(  # type: ignore[misc]
                network, pixels, PROMPT, tokens, draft, eos=-1, lookup=False, sure=0.0
            ))
            for _ in range(3)  # the first meets numbers of rows that were never computed
        ]  # fmt: skip
        took, said = min(runs, key=lambda run: run[0])
        found[name] = tokens / (took - before)
        found[f"same at {name}"] = sum(a == b for a, b in zip(said.tokens, right.tokens, strict=True)) / tokens
    return {name: round(rate, 2) for name, rate in found.items()} | {
        "gain at 80 %": round(found["80 %"] / found["none"], 2)
    }


def fidelity_of(config: NetworkConfig, images: int = 4) -> dict[str, Any]:
    """What each mode costs on weights with outliers: channels whose norm is 30 times the others', a token as large."""
    made = replace(cut(config, 2), text=replace(config.text, layers=2, vocabulary=min(8192, config.text.vocabulary)))
    made = replace(made, image_token=made.text.vocabulary - 1)
    exact = random_network(made, Choice("none", None, None, ""))
    seeded = torch.Generator().manual_seed(1)
    exact.words.data.normal_(0, 0.02, generator=seeded)
    exact.words.data[5] *= 30
    exact.unembed = None  # a head of its own: the large token would be the answer to everything
    exact.head = torch.nn.Parameter(torch.randn(exact.words.shape, generator=seeded) * 0.02, requires_grad=False)
    for name, value in exact.named_parameters():
        if "before" in name:
            value.data[torch.randperm(len(value), generator=seeded)[:4]] *= 30
    pixels = [torch.rand(1, 3, made.vision.side, made.vision.side, generator=seeded) * 2 - 1 for _ in range(images)]
    said: dict[str, Any] = {}
    for mode in ("int8", "int8 calibrated", "int8-weight", "bf16"):
        chosen = choose(mode.split()[0])
        treatment = None
        if "calibrated" in mode:
            treatment = treatment_of(layer_errors(exact, inputs_of(exact, pixels[:2], PROMPT), chosen))
        found = fidelity(exact, quantize(copy.deepcopy(exact), chosen, treatment), pixels, PROMPT)
        said[mode] = {"logit error": round(found.logits, 4), "greedy agreement": round(found.agreement, 3)}
    return said


def nano(count: int) -> dict[str, Any]:
    """nano-molecule in int8 and in float32 on the same drawings: exact matches in %, and answers that are the same."""
    from PIL import Image
    from rdkit import Chem, RDLogger

    from docpipe.models.load import load_network
    from docpipe.models.preprocess import Frame, arrangement, resize, to_pixels
    from docpipe.models.registry import shipped
    from docpipe.models.tokenizer import Tokenizer

    RDLogger.DisableLog("rdApp.*")
    root = Path(os.environ.get("DOCPIPE_BENCH_DATA", "")) / "molecules"
    if not (root / "truth.tsv").is_file() or "nano-molecule" not in shipped():
        return {"skipped": "DOCPIPE_BENCH_DATA has no molecules/truth.tsv, or no nano-molecule is there"}
    checkpoint = shipped()["nano-molecule"]
    assert checkpoint.folder is not None
    said = checkpoint.settings["molecule"]
    rows = [line.split("\t")[:2] for line in (root / "truth.tsv").read_text().splitlines()[1:]]
    sizes = {smiles: mol.GetNumAtoms() for _, smiles in rows if (mol := Chem.MolFromSmiles(smiles)) is not None}
    small = [(name, smiles) for name, smiles in rows if sizes.get(smiles, 99) <= 12 and (root / name).is_file()]
    some = small[:: max(1, len(small) // count)][:count]
    networks = {"float32": load_network(checkpoint.folder), "int8": load(checkpoint.folder, "int8")[0]}
    config = networks["float32"].config
    tokenizer = Tokenizer(checkpoint.folder, config)
    frame = Frame(config.vision.side, config.vision.patch, said.options)
    answers: dict[str, list[str]] = {name: [] for name in networks}
    prompt = tokenizer.prompt(said.prompt or "")
    for name, _ in some:
        image = arrangement(said.prepare)(Image.open(root / name).convert("RGB"), frame)
        pixels = to_pixels([resize(image, config.vision.side, "bilinear")])
        for kind, network in networks.items():
            (one,) = generate(network, pixels, [prompt], said.max_tokens or 64)
            answers[kind].append(tokenizer.text(one.tokens))

    def canonical(smiles: str) -> str:
        mol = Chem.MolFromSmiles(smiles)
        return Chem.MolToSmiles(mol) if mol is not None else ""

    right = {kind: sum(canonical(a) == canonical(t) != "" for a, (_, t) in zip(given, some, strict=True))
             for kind, given in answers.items()}  # fmt: skip
    same = sum(a == b for a, b in zip(answers["float32"], answers["int8"], strict=True))
    return {"drawings": len(some), "same answers": same} | {
        f"exact {kind} %": round(100 * n / max(1, len(some)), 1) for kind, n in right.items()
    }


STARTED = """
import json, sys, time, torch
from pathlib import Path
from docpipe.models.quantized import load
from docpipe.models.speed import peak_rss
torch.set_num_threads(int(sys.argv[3]))
began = time.perf_counter()
network, choice = load(Path(sys.argv[1]), "int8", keep=Path(sys.argv[2]))
loaded = time.perf_counter() - began
from docpipe.models.decode import generate
side = network.config.vision.side
generate(network, torch.zeros(1, 3, side, side), [[2, 5, 6, 4]], 4, eos=-1)
print(json.dumps({"load_s": round(loaded, 2), "peak_rss_gb": round(peak_rss(), 2)}))
"""


def whole(config: NetworkConfig, threads: int) -> dict[str, Any]:
    """A whole random checkpoint on disk: the first load, which quantizes, and the second, in processes of their own."""
    from safetensors.torch import save_file

    from docpipe.models.load import part_rows, weight_plan

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "checkpoint"
        folder.mkdir()
        with torch.device("meta"):
            network = Network(config)
        index: dict[str, str] = {}
        for number, (name, stored) in enumerate(weight_plan(config).items()):
            shape = network.get_parameter(name).shape
            rows = part_rows(config, name, shape[0], len(stored)) if len(stored) > 1 else [shape[0]]
            tensors = {}
            for key, count in zip(stored, rows, strict=True):
                made = (torch.randn(count, *shape[1:]) * 0.02).to(torch.bfloat16)
                if key.endswith("patch_embedding.weight"):
                    made = made.view(count, 3, config.vision.patch, config.vision.patch)
                tensors[key] = made
                index[key] = f"part-{number}.safetensors"
            save_file(tensors, folder / f"part-{number}.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
        t, v = config.text, config.vision
        text = {"model_type": "gemma2", "hidden_size": t.width, "num_hidden_layers": t.layers, "head_dim": t.head,
                "num_attention_heads": t.heads, "num_key_value_heads": t.kv_heads, "intermediate_size": t.hidden,
                "vocab_size": t.vocabulary, "query_pre_attn_scalar": t.scale_from}  # fmt: skip
        vision = {"hidden_size": v.width, "num_hidden_layers": v.layers, "num_attention_heads": v.heads,
                  "intermediate_size": v.hidden, "patch_size": v.patch, "image_size": v.side}  # fmt: skip
        (folder / "config.json").write_text(
            json.dumps({"model_type": "paligemma", "text_config": text, "vision_config": vision})
        )
        command = [sys.executable, "-c", STARTED, str(folder), f"{place}/kept", str(threads)]
        env = {**os.environ, "DOCPIPE_CACHE": f"{place}/cache"}
        first, second = (
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout)
            for _ in range(2)
        )
        return {"first": first, "second": second}


def shrunken(config: NetworkConfig) -> NetworkConfig:
    """The same kind of network in a size with which the whole run can be tried."""
    vision = replace(config.vision, width=128, layers=2, heads=4, hidden=256)
    text = replace(config.text, width=256, layers=3, heads=4, kv_heads=2, head=64, hidden=512, vocabulary=9000)
    return replace(config, vision=vision, text=text, image_token=8999)


def beside(config: NetworkConfig, chosen: Choice, given: argparse.Namespace, dtype: str) -> dict[str, Any]:
    """docpipe beside transformers in a type, for each batch: their parts of all layers, and the ratios."""
    small = cut(config, given.layers)
    network, theirs = random_network(small, chosen), Theirs(small, getattr(torch, dtype))
    heads = {}
    with torch.inference_mode():
        for name, run, kind in (
            ("ours", network.logits, torch.float32),
            ("theirs", theirs.model.lm_head, theirs.dtype),
        ):
            x = torch.randn(1, config.text.width).to(kind)
            heads[name] = best(lambda run=run, x=x: run(x), 3)  # type: ignore[misc]
    said: dict[str, Any] = {}
    for batch in given.batch:
        found = interleaved({"ours": Ours(network), "theirs": theirs}, batch, given.tokens)
        rows = {}
        for name, parts_ in found.items():
            values = scaled(parts_, heads[name], given.layers, config)
            rows[name] = {part: round(value, 4) for part, value in values.items()} | {
                "tok_s": round(batch / values["step"], 2),
                "image_64": round(values["vision"] + values["prefill"] + 64 * values["step"], 2),
            }
        parts_of = ("vision", "prefill", "step", "image_64")
        ratio = {part: round(rows["theirs"][part] / rows["ours"][part], 2) for part in parts_of}
        said[f"batch {batch}"] = {**rows, "theirs / ours": ratio}
    return said


def alone(config: NetworkConfig, chosen: Choice, given: argparse.Namespace, rate: float) -> dict[str, Any]:
    """docpipe's engine with all layers: parts, share of the roofline, drafts."""
    network = random_network(config, chosen)
    found = interleaved({"ours": Ours(network)}, 1, given.tokens)["ours"]
    roofline = rate * 1e9 / weight_bytes(config, chosen)
    said: dict[str, Any] = {name: round(value, 4) for name, value in found.items()}
    said |= {"roofline_tok_s": round(roofline, 2), "decode_fraction": round(1 / found["step"] / roofline, 3)}
    return said | {"draft_tok_s": drafted(network, 60)}


def larger(config: NetworkConfig, chosen: Choice, given: argparse.Namespace) -> dict[str, Any]:
    """A crop of 448 px and 200 tokens: seconds, and the share of each part."""
    crop = replace(config, vision=replace(config.vision, side=2 * config.vision.side))
    found = interleaved({"ours": Ours(random_network(crop, chosen))}, 1, given.tokens, 1)["ours"]
    whole_ = {"vision": found["vision"], "prefill": found["prefill"], "decode": 200 * found["step"]}
    total = sum(whole_.values())
    return {"seconds": round(total, 2)} | {f"{name} share": round(v / total, 3) for name, v in whole_.items()}


ELSEWHERE = {"openvino int8": 3.45 / 3.62, "llama.cpp Q8_0": 10.4 / 3.62, "gemma.cpp": 5.8 / 3.0}
"""Prefill of others over ours as measured once on a Zen 4 of two cores (gemma.cpp: the linear layers alone): they are
not installed here, so these rows are that ratio times what is measured against it, and marked."""


def table(said: dict[str, Any]) -> str:
    """The targets and what was measured, a row each."""
    first = said["against"][next(iter(said["against"]))]["batch 1"]["theirs / ours"]
    fast = features().int8
    mine, disk = said["alone"], said["from_disk"]
    rows = [
        ("decode, batch 1, share of the roofline", ">= 0.65" if fast else ">= 0.55", mine["decode_fraction"]),
        ("decode by a draft 80 % right", ">= 2.5x", mine["draft_tok_s"]["gain at 80 %"]),
        *((f"prefill, transformers {dtype} / ours",
           ">= 2.2x" if fast else (">= 2x" if dtype == "float32" else ">= 10x"),
           found["batch 1"]["theirs / ours"]["prefill"]) for dtype, found in said["against"].items()),
        *((f"prefill, {name} / ours (elsewhere, once)", goal, round(ELSEWHERE[name], 2))
          for name, goal in (("openvino int8", ">= 1.1x"), ("llama.cpp Q8_0", ">= 2.5x"))),
        ("whole image, 224 px, 64 tokens, transformers / ours", ">= 3.5x", first["image_64"]),
        ("linear layers, gemma.cpp / ours (elsewhere, once)", "> 1x", round(ELSEWHERE["gemma.cpp"], 2)),
        ("448 px crop, 200 tokens", "measured", json.dumps(said["448 px, 200 tokens"])),
        ("peak RSS of a first and a second start, GB", "<= 4.5",
         f'{disk["first"]["peak_rss_gb"]}, {disk["second"]["peak_rss_gb"]}'),
        ("start-up of the cached quantized model, s", "<= 3", disk["second"]["load_s"]),
        ("fidelity with outliers", "measured", json.dumps(said["fidelity"])),
        ("fidelity of nano-molecule", "within 0.2 points", json.dumps(said["nano"])),
    ]  # fmt: skip
    return "\n".join(["| | target | measured |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)])


def main() -> None:
    """Measure, print JSON part by part, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="3b")
    parser.add_argument("--layers", type=int, default=4, help="of each tower beside transformers")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument(
        "--against", nargs="+", default=["bfloat16"] if features().bfloat16 else ["float32", "bfloat16"]
    )
    parser.add_argument("--small", action="store_true", help="a shrunken shape, to try the run")
    parser.add_argument("--drawings", type=int, default=400, help="for nano's fidelity")
    parser.add_argument("--json", type=Path, help="write everything measured here")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config, chosen = published_config(given.size, 224), choose("int8")
    if given.small:
        config, given.layers, given.batch, given.tokens = shrunken(config), 1, [1, 2], 4
        given.drawings = min(given.drawings, 8)
    rate = bandwidth(0.2 if given.small else 2.0)
    said: dict[str, Any] = {
        "cpu": features().named, "threads": given.threads, "why": chosen.why, "bandwidth_gb_s": round(rate, 1),
        "gflop_s": round(arithmetic(chosen), 1),
    }  # fmt: skip
    print(json.dumps(said), flush=True)
    steps: dict[str, Any] = {
        "alone": lambda: alone(config, chosen, given, rate),
        "against": lambda: {dtype: beside(config, chosen, given, dtype) for dtype in given.against},
        "448 px, 200 tokens": lambda: larger(config, chosen, given),
        "from_disk": lambda: whole(config, given.threads),
        "fidelity": lambda: fidelity_of(config),
        "nano": lambda: nano(given.drawings),
    }
    for name, run in steps.items():
        began = time.perf_counter()
        said[name] = run()
        took = time.perf_counter() - began
        print(json.dumps({name: said[name], "took_s": round(took)}), flush=True)
    if given.json:
        given.json.write_text(json.dumps(said, indent=1) + "\n")
    print(table(said))


if __name__ == "__main__":
    main()
