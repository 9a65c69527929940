"""PaliGemma 2 on this CPU: docpipe's quantized engine beside transformers, A B A B in one run, and a draft's gain.

    python benchmarks/cpu.py [--size 3b] [--layers 4] [--side 224] [--batch 1 4] [--threads 1] [--tokens 24]

True 3B widths with random weights, `--layers` layers of each tower (what a layer takes is multiplied by their number:
transformers' model of all layers in float32 does not fit beside ours); the head whole. With `--layers 0` docpipe's own
engine alone runs with all layers, and start-up and peak memory are measured from a checkpoint on disk.
Wall times; the machine should be idle. The first line says which processor a figure is from.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from docpipe.models.cpu import features
from docpipe.models.decode import generate, prefill
from docpipe.models.draft import Tally, generate_with_draft
from docpipe.models.memory import published_config
from docpipe.models.network import Network, NetworkConfig
from docpipe.models.quantize import choose
from docpipe.models.speed import bandwidth, random_network, weight_bytes

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
            num_key_value_heads=t.kv_heads, head_dim=t.head, query_pre_attn_scalar=t.scale_from,
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
    best: dict[str, dict[str, float]] = {}
    for engine in engines.values():
        parts(engine, batch, 2)
    for _ in range(rounds):
        for name, engine in engines.items():
            found = parts(engine, batch, tokens)
            before = best.get(name, found)
            best[name] = {part: min(before[part], found[part]) for part in found}
    return best


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
    """Decoding with a draft that is right, 80 % right, and none: tokens a second, and their ratio."""
    side = network.config.vision.side
    pixels = torch.zeros(1, 3, side, side)
    (right,) = generate(network, pixels, [PROMPT], tokens, eos=-1)
    wrong = [token if i % 5 else (token + 7) % 1000 + 5 for i, token in enumerate(right.tokens)]
    found: dict[str, float] = {}
    for name, draft in (("none", ()), ("80 %", wrong), ("right", right.tokens)):
        tally = Tally()
        began = time.perf_counter()
        prefill(network, pixels, [PROMPT], tokens + 8)
        before = time.perf_counter() - began
        began = time.perf_counter()
        said = generate_with_draft(network, pixels, PROMPT, tokens, draft, eos=-1, lookup=False, tally=tally)
        assert said.tokens == right.tokens
        found[name] = tokens / (time.perf_counter() - began - before)
    return {name: round(rate, 2) for name, rate in found.items()} | {
        "gain at 80 %": round(found["80 %"] / found["none"], 2)
    }


STARTED = """
import json, sys, time, torch
from pathlib import Path
from docpipe.models.quantize import load
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
        first, second = (
            json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(2)
        )
        return {"first": first, "second": second}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="3b")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--against", default="bfloat16" if features().bfloat16 else "float32")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    config, chosen = published_config(given.size, given.side), choose("int8")
    said: dict[str, Any] = {"cpu": features().named, "threads": given.threads, "why": chosen.why}
    rate = bandwidth()
    said["bandwidth_gb_s"] = round(rate, 1)
    said["roofline_tok_s"] = round(rate * 1e9 / weight_bytes(config, chosen), 2)
    if given.layers == 0:
        network = random_network(config, chosen)
        found = interleaved({"ours": Ours(network)}, 1, given.tokens)
        said["ours"] = {name: round(value, 3) for name, value in found["ours"].items()}
        said["decode_fraction"] = round(1 / found["ours"]["step"] / said["roofline_tok_s"], 3)
        said["draft_tok_s"] = drafted(network, 60)
        del network
        said["from_disk"] = whole(config, given.threads)
        print(json.dumps(said, indent=1))
        return
    small = cut(config, given.layers)
    network = random_network(small, chosen)
    theirs = Theirs(small, getattr(torch, given.against))
    x = {"ours": torch.randn(1, config.text.width), "theirs": torch.randn(1, config.text.width).to(theirs.dtype)}
    with torch.inference_mode():
        heads = {}
        for name, run in (("ours", network.logits), ("theirs", theirs.model.lm_head)):
            run(x[name])
            began = time.perf_counter()
            for _ in range(3):
                run(x[name])
            heads[name] = (time.perf_counter() - began) / 3
    for batch in given.batch:
        found = interleaved({"ours": Ours(network), "theirs": theirs}, batch, given.tokens)
        whole_ = {name: scaled(parts_, heads[name], given.layers, config) for name, parts_ in found.items()}
        rows = {
            name: {part: round(value, 3) for part, value in values.items()}
            | {"tok_s": round(batch / values["step"], 2),
               "image_64": round(values["vision"] + values["prefill"] + 64 * values["step"], 2),
               "image_200": round(values["vision"] + values["prefill"] + 200 * values["step"], 2)}
            for name, values in whole_.items()
        }  # fmt: skip
        ratio = {
            part: round(rows["theirs"][part] / rows["ours"][part], 2)
            for part in ("vision", "prefill", "step", "image_64")
        }
        said[f"batch {batch}"] = {**rows, "theirs / ours": ratio}
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
