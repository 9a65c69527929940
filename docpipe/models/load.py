"""Loading a PaliGemma 2 folder of any size: config.json and safetensors, in all published spellings of the keys."""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    import torch

    from docpipe.models.network import Network, NetworkConfig

_IGNORED = re.compile(
    r"^vision_tower\.head\.|rotary_emb\.inv_freq$|position_ids$|^language_model\.lm_head\.weight$|^lm_head\.weight$"
)
_DTYPES = ("float32", "bfloat16")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint folder, sorted by name.

    Raises DP302 when there are none (pickled weights are never opened) or when the index names one that is missing.
    """
    index = folder / "model.safetensors.index.json"
    files = sorted(folder.glob("*.safetensors"))
    if index.is_file():
        named = sorted({folder / name for name in read_json(index)["weight_map"].values()})
        missing = [path.name for path in named if not path.is_file()]
        if missing:
            raise DocpipeError("DP302", folder.name, "files are missing: " + ", ".join(missing))
        return named
    if not files:
        raise DocpipeError("DP302", folder.name, "it holds no .safetensors file")
    return files


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a checkpoint folder. Raises DP302 when it is missing or broken."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DocpipeError("DP302", path.parent.name, f"{path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise DocpipeError("DP302", path.parent.name, f"{path.name} is broken: {error}") from error
    if not isinstance(value, dict):
        raise DocpipeError("DP302", path.parent.name, f"{path.name} holds no object")
    return value


def digest(folder: Path) -> str:
    """SHA-256 over the sorted safetensors files' own hashes, as lower-case hex: what a reading's origin records."""
    whole = hashlib.sha256()
    for path in weight_files(folder):
        stat = path.stat()
        whole.update(_file_digest(path, stat.st_size, stat.st_mtime_ns).encode())
    return whole.hexdigest()


@cache
def _file_digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001  (part of the cache's key)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def network_config(folder: Path) -> NetworkConfig:
    """The folder's config.json. Raises DP302 when it is missing, broken or no PaliGemma 2."""
    from docpipe.models.network import NetworkConfig

    try:
        return NetworkConfig.from_json(read_json(folder / "config.json"))
    except ValueError as error:
        raise DocpipeError("DP302", folder.name, str(error)) from error


def load_network(folder: Path, dtype: str = "float32", device: str = "cpu") -> Network:
    """The network with its weights, ready for inference; a float16 or bfloat16 file may be loaded as float32.

    Raises DP302 when the type is float16 (activations of Gemma 2 overflow it), when a weight is missing or has the
    wrong shape, or when there are weights that this architecture has no place for.
    """
    import torch

    from docpipe.models.network import Network, interleaved

    if dtype not in _DTYPES:
        why = "Gemma 2's activations overflow float16" if "16" in dtype else "no such type"
        raise DocpipeError("DP302", folder.name, f"{dtype}: {why}; take bfloat16 or float32")
    with torch.device("meta"):
        network = Network(network_config(folder))
    weights = _Weights(folder, getattr(torch, dtype), device)
    for name, parts in _plan(network.config).items():
        parameter = network.get_parameter(name)
        value = weights.take(parts, parameter.shape)
        if name.endswith(".scale"):
            value = value.float().add_(1.0)
        elif name.startswith("text_layers") and name.endswith("qkv.weight"):
            text = network.config.text
            value = interleaved(value, text.heads + text.kv_heads, text.head)
        _assign(network, name, value)
    weights.close()
    return network.eval().requires_grad_(False)


def _assign(network: Network, name: str, value: torch.Tensor) -> None:
    import torch

    owner, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(owner), leaf, torch.nn.Parameter(value, requires_grad=False))


def _plan(config: NetworkConfig) -> dict[str, tuple[str, ...]]:
    """For each of the network's parameters the stored weights that it is made of (several are stacked)."""
    plan: dict[str, tuple[str, ...]] = {
        "places": ("vision_tower.embeddings.position_embedding.weight",),
        "words": ("language_model.embed_tokens.weight",),
        "text_norm.scale": ("language_model.norm.weight",),
    }
    if not config.tied:
        plan["head"] = ("lm_head.weight",)
    for end in ("weight", "bias"):
        plan[f"patches.{end}"] = (f"vision_tower.embeddings.patch_embedding.{end}",)
        plan[f"vision_norm.{end}"] = (f"vision_tower.post_layernorm.{end}",)
        plan[f"projector.{end}"] = (f"multi_modal_projector.linear.{end}",)
        for i in range(config.vision.layers):
            ours, theirs = f"vision_layers.{i}", f"vision_tower.encoder.layers.{i}"
            plan[f"{ours}.qkv.{end}"] = tuple(f"{theirs}.self_attn.{x}_proj.{end}" for x in "qkv")
            plan[f"{ours}.out.{end}"] = (f"{theirs}.self_attn.out_proj.{end}",)
            plan[f"{ours}.up.{end}"] = (f"{theirs}.mlp.fc1.{end}",)
            plan[f"{ours}.down.{end}"] = (f"{theirs}.mlp.fc2.{end}",)
            for norm in (1, 2):
                plan[f"{ours}.norm{norm}.{end}"] = (f"{theirs}.layer_norm{norm}.{end}",)
    for i in range(config.text.layers):
        ours, theirs = f"text_layers.{i}", f"language_model.layers.{i}"
        plan[f"{ours}.qkv.weight"] = tuple(f"{theirs}.self_attn.{x}_proj.weight" for x in "qkv")
        plan[f"{ours}.out.weight"] = (f"{theirs}.self_attn.o_proj.weight",)
        plan[f"{ours}.gate_up.weight"] = tuple(f"{theirs}.mlp.{x}_proj.weight" for x in ("gate", "up"))
        plan[f"{ours}.down.weight"] = (f"{theirs}.mlp.down_proj.weight",)
        for our_norm, their_norm in (
            ("before_attention", "input_layernorm"),
            ("after_attention", "post_attention_layernorm"),
            ("before_mlp", "pre_feedforward_layernorm"),
            ("after_mlp", "post_feedforward_layernorm"),
        ):
            plan[f"{ours}.{our_norm}.scale"] = (f"{theirs}.{their_norm}.weight",)
    return plan


def plain_name(key: str) -> str:
    """A stored key without what the spellings differ in: leading `model.`, `.vision_model` and `.model`."""
    key = re.sub(r"^model\.(?=vision_tower|language_model|multi_modal_projector)", "", key)
    key = key.replace("vision_tower.vision_model.", "vision_tower.")
    key = key.replace("language_model.model.", "language_model.")
    return key.replace("language_model.lm_head.", "lm_head.")


class _Weights:
    """The stored tensors by plain name; each is read from the file once, and what was not asked for is noticed."""

    def __init__(self, folder: Path, dtype: torch.dtype, device: str) -> None:
        from safetensors import SafetensorError, safe_open

        self.folder, self.dtype, self.device = folder, dtype, device
        self.where: dict[str, tuple[Any, str]] = {}
        try:
            for path in weight_files(folder):
                file = safe_open(path, framework="pt", device="cpu")
                self.where.update({plain_name(key): (file, key) for key in file.keys()})  # type: ignore[no-untyped-call]  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise DocpipeError("DP302", folder.name, f"the weights are damaged: {error}") from error
        self.left = set(self.where)

    def take(self, names: tuple[str, ...], shape: torch.Size) -> torch.Tensor:
        import torch

        missing = [name for name in names if name not in self.where]
        if missing:
            raise DocpipeError("DP302", self.folder.name, f"the weight {missing[0]} is missing")
        parts = [file.get_tensor(key) for file, key in (self.where[name] for name in names)]
        self.left -= set(names)
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        if whole.dim() == 4:  # the patch convolution, as a matrix
            whole = whole.flatten(1)
        if whole.shape != shape:
            found, needed = tuple(whole.shape), tuple(shape)
            raise DocpipeError("DP302", self.folder.name, f"{names[0]} is {found}, the config needs {needed}")
        if not bool(torch.isfinite(whole).all()):
            raise DocpipeError("DP302", self.folder.name, f"{names[0]} holds values that are not finite")
        # A copy of its own: the file's mapping must not outlive the checkpoint's folder.
        return whole.to(device=self.device, dtype=self.dtype, copy=True).contiguous()

    def close(self) -> None:
        left = sorted(name for name in self.left if not _IGNORED.search(name))
        if left:
            raise DocpipeError("DP302", self.folder.name, f"{len(left)} weights are not PaliGemma 2's: {left[0]}, …")
