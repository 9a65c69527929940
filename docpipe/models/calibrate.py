"""Calibration: what quantization costs each layer on real activations, which layers and channels are spared it, and a
folder with a card that says what it cost as a whole.

A layer's error is measured on rows of its own input that a full-precision run over sample images gives. Input channels
that stand far out of the others (a few tens in large models, LLM.int8(), arXiv 2208.07339, sec. 4) stay in float32
where that lowers the error by a fifth or more; layers whose error is still above `WORST` stay in bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.errors import DocpipeError
from docpipe.models.quantize import Choice, Treatment, choose, linear_names, reduced, remade
from docpipe.models.quantized import load, save

if TYPE_CHECKING:
    from torch import Tensor

    from docpipe.models.network import Network

ROWS = 256
"""Rows of a layer's input that are kept."""

OUTLIER = 8.0
"""A channel stands out when its largest value is so many times the median channel's."""

MOST_COLUMNS = 0.01
"""Share of a layer's input channels that may stay in float32."""

GAIN = 0.8
"""What the error must fall to for outlier channels to be worth their cost."""

WORST = 0.15
"""Relative error above which a layer stays in bfloat16."""

TOKENS = 32
"""Tokens of the greedy answers that are compared."""


@dataclass(frozen=True)
class LayerError:
    """What W8A8 costs a layer: relative error plain, with its outlier channels exact, and what was decided."""

    name: str
    plain: float
    parted: float
    columns: tuple[int, ...]
    kept: bool


@dataclass(frozen=True)
class Fidelity:
    """The network as a whole beside the full-precision one: relative error of the first logits, share of the greedy
    answers' tokens before they part, share of answers that are the same."""

    logits: float
    agreement: float
    same: float
    images: int


def inputs_of(network: Network, pixels: Sequence[Tensor], prompt: Sequence[int]) -> dict[str, Tensor]:
    """For each linear layer up to `ROWS` rows of its input, from prefills of the images (each [1, 3, side, side])."""
    import torch

    from docpipe.models.decode import prefill

    kept: dict[str, list[Tensor]] = {}
    share = max(1, ROWS // max(1, len(pixels)))

    def hook(name: str) -> Any:
        def keep(_module: Any, given: Any) -> None:
            rows = given[0].reshape(-1, given[0].shape[-1])
            every = max(1, len(rows) // share)
            # Rows of largest size are where a scale hurts: they are always among those kept.
            largest = rows.abs().amax(1).topk(min(4, len(rows))).indices
            kept.setdefault(name, []).append(torch.cat([rows[::every][:share], rows[largest]]).float().clone())

        return keep

    handles = [network.get_submodule(name).register_forward_pre_hook(hook(name)) for name in linear_names(network)]
    try:
        with torch.inference_mode():
            for image in pixels:
                prefill(network, image, [prompt], 1)
    finally:
        for handle in handles:
            handle.remove()
    return {name: torch.cat(rows)[: ROWS + 4 * len(pixels)] for name, rows in kept.items()}


def layer_errors(network: Network, inputs: dict[str, Tensor], choice: Choice) -> list[LayerError]:
    """What W8A8 costs each layer on these inputs."""
    import torch

    found = []
    with torch.inference_mode():
        for name, x in inputs.items():
            linear: Any = network.get_submodule(name)
            weight, bias = linear.weight.float(), None if linear.bias is None else linear.bias.float()
            right = torch.nn.functional.linear(x, weight, bias)

            def error(treatment: Treatment, name: str = name, weight: Tensor = weight, bias: Tensor | None = bias,
                      x: Tensor = x, right: Tensor = right) -> float:  # fmt: skip
                layer = remade(reduced(name, weight, bias, choice, treatment), choice)
                return float((layer(x) - right).norm() / right.norm().clamp_min(1e-12))

            plain, parted = error(Treatment()), float("nan")
            columns = outliers(x)
            if columns:
                parted = error(Treatment(columns={name: columns}))
                columns = columns if parted <= GAIN * plain else ()
            after = parted if columns else plain
            found.append(LayerError(name, plain, parted, columns, after > WORST))
    return found


def outliers(x: Tensor) -> tuple[int, ...]:
    """The channels of rows [n, channels] that stand out, largest first, at most `MOST_COLUMNS` of them."""
    largest = x.abs().amax(0)
    most = max(1, int(MOST_COLUMNS * x.shape[1]))
    far = (largest > OUTLIER * largest.median().clamp_min(1e-6)).nonzero()[:, 0]
    ordered = far[largest[far].argsort(descending=True)][:most]
    return tuple(int(i) for i in ordered.sort().values)


def treatment_of(errors: Sequence[LayerError]) -> Treatment:
    """What calibration decided, as loading takes it."""
    kept = tuple(e.name for e in errors if e.kept)
    return Treatment(kept, {e.name: e.columns for e in errors if e.columns and not e.kept})


def fidelity(exact: Network, quantized: Network, pixels: Sequence[Tensor], prompt: Sequence[int]) -> Fidelity:
    """Both networks on the same images."""
    import torch

    from docpipe.models.decode import generate, prefill

    worse, agreed, same = 0.0, 0, 0
    asked = 0
    with torch.inference_mode():
        for image in pixels:
            right, found = (prefill(n, image, [prompt], 1).logits for n in (exact, quantized))
            worse += float((found - right).norm() / right.norm())
            (a,), (b,) = (generate(n, image, [prompt], TOKENS) for n in (exact, quantized))
            alike = next((i for i, (x, y) in enumerate(zip(a.tokens, b.tokens, strict=False)) if x != y),
                         min(len(a.tokens), len(b.tokens)))  # fmt: skip
            agreed += alike
            asked += max(len(a.tokens), len(b.tokens), 1)
            same += a.tokens == b.tokens
    count = max(1, len(pixels))
    return Fidelity(worse / count, agreed / max(1, asked), same / count, len(pixels))


def quantize_folder(folder: Path, to: Path, mode: str = "auto", pages: Path | None = None) -> list[str]:
    """Write a checkpoint's quantized form with a model card; what the card says of it, line by line.

    pages: a folder of images to calibrate on; without it noise and gratings stand in, which say little of real
    activations, and the card says so. Raises DP302, DP313, DP401, and DP108 for a folder without images.
    """
    from docpipe.models.load import load_network
    from docpipe.models.registry import find_checkpoint
    from docpipe.models.tokenizer import Tokenizer

    choice = choose(mode)
    if choice.mode == "none":
        raise DocpipeError("DP313", mode, choice.why)
    exact = load_network(folder)
    images = _images(pages, exact.config.vision.side)
    prompts = [task.prompt for task in find_checkpoint(str(folder)).settings.values() if task.prompt]
    plain = next((text for text in prompts if "{" not in text), "")
    prompt = Tokenizer(folder, exact.config).prompt(plain)
    errors = layer_errors(exact, inputs_of(exact, images, prompt), choice) if choice.mode == "int8" else []
    treatment = treatment_of(errors)
    save(folder, to, choice, treatment)
    quantized, _ = load(to, choice.mode)
    measured = fidelity(exact, quantized, images, prompt)
    lines = _said(choice, errors, measured, real=pages is not None)
    (to / "README.md").write_text(
        f"# {folder.name}, {choice.mode}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n"
    )
    return lines


def _images(pages: Path | None, side: int) -> list[Tensor]:
    import torch

    from docpipe.imagefile import open_image, to_rgb
    from docpipe.models.preprocess import pad_to_white_square, resize, to_pixels

    if pages is None:
        seeded = torch.Generator().manual_seed(3)
        wave = torch.linspace(0, 60, side).sin()
        return [
            torch.rand(1, 3, side, side, generator=seeded) * 2 - 1,
            (wave[None, :] * wave[:, None]).expand(1, 3, side, side).contiguous(),
            torch.ones(1, 3, side, side),
        ]
    kinds = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}
    files = sorted(p for p in pages.rglob("*") if p.suffix.lower() in kinds)
    if not files:
        raise DocpipeError("DP108", str(pages))
    images = [to_rgb(open_image(file.read_bytes(), file.name), file.name) for file in files[:16]]
    return [to_pixels([resize(pad_to_white_square(image), side, "bilinear")]) for image in images]


def _said(choice: Choice, errors: Sequence[LayerError], measured: Fidelity, *, real: bool) -> list[str]:
    on = f"{measured.images} images" if real else "synthetic images: give --pages for figures that mean something"
    lines = [
        f"computes by {choice.why}",
        f"against float32, on {on}: error of the first logits {measured.logits:.3f}, greedy tokens alike until the "
        f"answers part {measured.agreement:.1%}, answers the same {measured.same:.1%}",
    ]
    if errors:
        worst = max(errors, key=lambda e: e.plain)
        middle = sorted(e.plain for e in errors)[len(errors) // 2]
        lines.append(f"error of a layer's output: median {middle:.4f}, worst {worst.plain:.4f} ({worst.name})")
        parted = [e for e in errors if e.columns and not e.kept]
        kept = [e for e in errors if e.kept]
        for some, what in ((parted, "keep outlier channels in float32"), (kept, "stay in bfloat16")):
            lines.append(f"{len(some)} layers {what}: " + (", ".join(e.name for e in some) or "-"))
    return lines
