"""Time per decoding step and parity of docpipe's PaliGemma 2 engine beside transformers' generate, in one run.

    python benchmarks/engine.py [--shape nano|tiny|3b] [--batch 1 8] [--tokens 64] [--dtype float32] [--threads 1]
    python benchmarks/engine.py --shape 3b --dtype bfloat16 --apart --tokens 8 --repeats 1

Weights are random; speed does not depend on them. `nano` has the sizes of the checkpoints that ship with docpipe. 3b
has the published sizes and a vocabulary of 257216: 6 GB in bfloat16, 12 GB in float32, twice while both are loaded;
with --apart the weights are made and each engine is run in a process of its own, so that they are held once, and the
peak memory of docpipe's is printed beside what `models.memory` predicts.
A step's time is the difference between a run of `tokens` and a run of one token, over `tokens` - 1: prefill is apart.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from docpipe.engines.paligemma_reference import TransformersDecoder
from docpipe.models.decode import Decoded, generate
from docpipe.models.load import load_network, network_config
from docpipe.models.memory import predicted

SHAPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nano": (
        {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 2,
         "patch_size": 12, "image_size": 96},
        {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 2,
         "num_key_value_heads": 1, "head_dim": 64, "query_pre_attn_scalar": 64, "vocab_size": 128,
         "attn_logit_softcapping": None, "final_logit_softcapping": None},
    ),
    "3b": (
        {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
         "patch_size": 14, "image_size": 224},
        {"hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
         "num_key_value_heads": 4, "head_dim": 256, "query_pre_attn_scalar": 256, "vocab_size": 257216},
    ),
}  # fmt: skip
SHAPES["tiny"] = (
    SHAPES["nano"][0],
    {**SHAPES["nano"][1], "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0},
)


def quiet() -> None:
    """No progress bars and warnings of transformers between the rows."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def build(shape: str, folder: Path, dtype: torch.dtype) -> None:
    """A random checkpoint of that shape in a folder; no token of it is <eos> for long."""
    from transformers import Gemma2Config, PaliGemmaConfig, PaliGemmaForConditionalGeneration, SiglipVisionConfig

    vision, text = SHAPES[shape]
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**vision, vision_use_head=False, hidden_act="gelu_pytorch_tanh"),
        text_config=Gemma2Config(**text),
        image_token_index=text["vocab_size"] - 1,
        projection_dim=text["hidden_size"],
        vocab_size=text["vocab_size"],
        bos_token_id=2,
        eos_token_id=1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    config._attn_implementation = "eager"
    torch.set_default_dtype(dtype)
    model = PaliGemmaForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)


def best(run: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    """The shortest of several runs in seconds, after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        began = clock()
        run()
        times.append(clock() - began)
    return min(times)


def apart(args: argparse.Namespace) -> None:
    """Make the weights, then run each engine, each in a process of its own, and set their steps side by side."""
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        common = [sys.executable, __file__, *sys.argv[1:], "--in", name]
        common.remove("--apart")
        subprocess.run([*common, "--only", "build"], check=True)
        rows: dict[str, list[dict[str, Any]]] = {}
        for engine in ("docpipe", "transformers"):
            told = subprocess.run([*common, "--only", engine], check=True, capture_output=True, text=True).stdout
            rows[engine] = [json.loads(line) for line in told.splitlines()]
        print(f"{'batch':>5} {'engine':>13} {'first token ms':>15} {'step ms':>9} {'tokens/s':>9} {'peak GB':>8} same")
        for ours, theirs in zip(rows["docpipe"], rows["transformers"], strict=True):
            same = sum(a == b for a, b in zip(ours["tokens"], theirs["tokens"], strict=True))
            for engine, row in (("docpipe", ours), ("transformers", theirs)):
                count, step = row["batch"], row["step"]
                print(f"{count:>5} {engine:>13} {row['first'] * 1e3:>15.1f} {step * 1e3:>9.2f} "
                      f"{count / step:>9.1f} {row['peak'] / 1e9:>8.2f} {same}/{count}")  # fmt: skip
            print(f"{'':5} {'predicted':>13} {'':>15} {'':>9} {'':>9} {ours['predicted'] / 1e9:>8.2f}")


def by_itself(args: argparse.Namespace, clock: Callable[[], float]) -> None:
    """One engine by itself: a line of JSON for each batch."""
    folder, side = Path(args.into), SHAPES[args.shape][0]["image_size"]
    if args.only == "build":
        build(args.shape, folder, getattr(torch, args.dtype))
        return
    pixels, prompts = given(args, side)
    if args.only == "docpipe":
        network = load_network(folder, args.dtype, args.device)

        def run(count: int, tokens: int) -> list[Decoded]:
            return generate(network, pixels[:count], prompts[:count], tokens, eos=-1)
    else:
        reference = TransformersDecoder(folder, args.dtype, args.device)
        reference.eos = -1

        def run(count: int, tokens: int) -> list[Decoded]:
            return reference.decode(pixels[:count], prompts[:count], [tokens] * count)

    config = network_config(folder)
    for count in args.batch:
        tokens = [answer.tokens for answer in run(count, args.tokens)]
        first = best(lambda n=count: run(n, 1), args.repeats, clock)
        whole = best(lambda n=count: run(n, args.tokens), args.repeats, clock)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        said = predicted(config, batch=count, prompt=args.prompt, tokens=args.tokens, dtype=args.dtype).total
        step = (whole - first) / (args.tokens - 1)
        print(json.dumps({"batch": count, "first": first, "step": step, "tokens": tokens, "peak": peak,
                          "predicted": said}))  # fmt: skip


def given(args: argparse.Namespace, side: int) -> tuple[torch.Tensor, list[list[int]]]:
    """The images and prompts of the largest batch."""
    made = torch.Generator().manual_seed(1)
    pixels = torch.rand(max(args.batch), 3, side, side, generator=made) * 2 - 1
    high = SHAPES[args.shape][1]["vocab_size"] - 1
    return pixels, [[2, *torch.randint(3, high, (args.prompt - 1,), generator=made).tolist()] for _ in pixels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="nano")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompt", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--apart", action="store_true", help="each engine in a process of its own")
    parser.add_argument("--folder", help="where --apart may put the weights for a while")
    parser.add_argument("--only", choices=["build", "docpipe", "transformers"], help=argparse.SUPPRESS)
    parser.add_argument("--in", dest="into", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    alone = args.device == "cpu" and args.threads == 1
    clock = time.process_time if alone else time.perf_counter  # CPU time does not count what others do on the machine
    quiet()
    if args.only:
        by_itself(args, clock)
        return
    print(f"shape {args.shape}, {args.dtype}, {args.device}, {args.threads} threads, torch {torch.__version__}")
    if args.apart:
        apart(args)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(args.shape, folder, getattr(torch, args.dtype))
        side = SHAPES[args.shape][0]["image_size"]
        network = load_network(folder, args.dtype, args.device)
        reference = TransformersDecoder(folder, args.dtype, args.device)
        # Both go on to the limit: no token is the end.
        reference.eos = -1

        def ours(count: int, tokens: int) -> Any:
            return generate(network, pixels[:count], prompts[:count], tokens, eos=-1)

        def theirs(count: int, tokens: int) -> Any:
            return reference.decode(pixels[:count], prompts[:count], [tokens] * count)

        pixels, prompts = given(args, side)
        print(f"{'batch':>5} {'engine':>13} {'first token ms':>15} {'step ms':>9} {'tokens/s':>9} {'times':>6} same")
        for count in args.batch:
            same = [
                a.tokens == b.tokens for a, b in zip(ours(count, args.tokens), theirs(count, args.tokens), strict=True)
            ]
            steps = {}
            for engine, run in (("docpipe", ours), ("transformers", theirs)):
                first = best(lambda run=run, n=count: run(n, 1), args.repeats, clock)
                whole = best(lambda run=run, n=count: run(n, args.tokens), args.repeats, clock)
                steps[engine] = step = (whole - first) / (args.tokens - 1)
                times = steps["transformers"] / steps["docpipe"] if len(steps) == 2 else 1.0
                print(f"{count:>5} {engine:>13} {first * 1e3:>15.2f} {step * 1e3:>9.3f} {count / step:>9.0f} "
                      f"{times:>6.1f} {sum(same)}/{count}")  # fmt: skip


if __name__ == "__main__":
    main()
