"""Loading a PaliGemma 2 folder of any size: config.json and safetensors, in all published spellings of the keys."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.errors import DocpipeError
from docpipe.models.file_hashes import file_hash

if TYPE_CHECKING:
    import torch

    from docpipe.models.adapters import Adapter
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


def digest(folder: Path, *, anew: bool = False) -> str:
    """SHA-256 over the sorted safetensors files' own hashes, as lower-case hex: what a reading's origin records.

    Gigabytes take seconds to read, so the hash of a large file is remembered (`file_hashes`); anew: read it again.
    """
    whole = hashlib.sha256()
    for path in weight_files(folder):
        whole.update(file_hash(path, anew=anew).encode())
    return whole.hexdigest()


def network_config(folder: Path) -> NetworkConfig:
    """The folder's config.json. Raises DP302 when it is missing, broken or no PaliGemma 2."""
    from docpipe.models.network import NetworkConfig

    try:
        return NetworkConfig.from_json(read_json(folder / "config.json"))
    except ValueError as error:
        raise DocpipeError("DP302", folder.name, str(error)) from error


def load_network(folder: Path, dtype: str = "float32", device: str = "cpu", adapter: Adapter | None = None) -> Network:
    """The network with its weights, ready for inference; a float16 or bfloat16 file may be loaded as float32.

    adapter: is merged into the weights in float32, before they take their type. Raises DP310 and DP311 for one that
    is damaged or does not fit; DP302 when the type is float16 (activations of Gemma 2 overflow it), when a weight is
    missing or has the wrong shape, or when there are weights that this architecture has no place for.
    """
    import torch

    from docpipe.models.network import Network

    if dtype not in _DTYPES:
        why = "Gemma 2's activations overflow float16" if "16" in dtype else "no such type"
        raise DocpipeError("DP302", folder.name, f"{dtype}: {why}; take bfloat16 or float32")
    with torch.device("meta"):
        network = Network(network_config(folder))
    weights = Weights(folder, getattr(torch, dtype), device, adapter)
    plan = weight_plan(network.config)
    if adapter is not None:
        adapter.weights.check_names({part for parts in plan.values() for part in parts})
    for name, parts in plan.items():
        assign(network, name, stacked(network.config, name)(weights.take(parts, network.get_parameter(name).shape)))
    weights.close()
    return network.eval().requires_grad_(False)


def stacked(config: NetworkConfig, name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """What turns the stored weights of one of the network's parameters, stacked, into that parameter."""
    from docpipe.models.network import interleaved

    if name.endswith(".scale"):
        return lambda value: value.float().add_(1.0)
    if name.startswith("text_layers") and name.endswith("qkv.weight"):
        text = config.text
        return lambda value: interleaved(value, text.heads + text.kv_heads, text.head)
    return lambda value: value


def part_rows(config: NetworkConfig, name: str, rows: int, parts: int) -> list[int]:
    """How many rows of a parameter each of the stored weights that it is made of has."""
    if name.startswith("text_layers") and name.endswith("qkv.weight"):
        text = config.text
        return [text.heads * text.head, text.kv_heads * text.head, text.kv_heads * text.head]
    return [rows // parts] * parts


def assign(network: Network, name: str, value: torch.Tensor) -> None:
    """Give one of the network's parameters its value; it is shared with whoever else holds the tensor."""
    import torch

    owner, _, leaf = name.rpartition(".")
    setattr(network.get_submodule(owner), leaf, torch.nn.Parameter(value, requires_grad=False))


def weight_plan(config: NetworkConfig) -> dict[str, tuple[str, ...]]:
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


class Weights:
    """The stored tensors by plain name; each is read from the file once, and what was not asked for is noticed.

    A file is opened for each tensor and let go of with it: pages of a mapped file that was read count as this process's
    memory for as long as it is mapped.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, device: str, adapter: Adapter | None = None) -> None:
        from safetensors import SafetensorError, safe_open

        self.folder, self.dtype, self.device, self.adapter = folder, dtype, device, adapter
        self.where: dict[str, tuple[Path, str]] = {}
        try:
            for path in weight_files(folder):
                with safe_open(path, framework="pt", device="cpu") as file:
                    self.where.update({plain_name(key): (path, key) for key in file.keys()})  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise DocpipeError("DP302", folder.name, f"the weights are damaged: {error}") from error
        self.left = set(self.where)

    def take(self, names: tuple[str, ...], shape: torch.Size, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The tensors of these names, stacked. dtype: another type than all others get."""
        import torch
        from safetensors import safe_open

        missing = [name for name in names if name not in self.where]
        if missing:
            raise DocpipeError("DP302", self.folder.name, f"the weight {missing[0]} is missing")
        parts = []
        for path, key in (self.where[name] for name in names):
            with safe_open(path, framework="pt", device="cpu") as file:
                parts.append(file.get_tensor(key))
        self.left -= set(names)
        if self.adapter is not None:
            changed = self.adapter.weights.changed
            parts = [changed(name, part) for name, part in zip(names, parts, strict=True)]
        whole = torch.cat(parts) if len(parts) > 1 else parts[0]
        if whole.dim() == 4:  # the patch convolution, as a matrix
            whole = whole.flatten(1)
        if whole.shape != shape:
            found, needed = tuple(whole.shape), tuple(shape)
            raise DocpipeError("DP302", self.folder.name, f"{names[0]} is {found}, the config needs {needed}")
        if not bool(torch.isfinite(whole).all()):
            raise DocpipeError("DP302", self.folder.name, f"{names[0]} holds values that are not finite")
        # A copy of its own: the file's mapping must not outlive the checkpoint's folder.
        return whole.to(device=self.device, dtype=dtype or self.dtype, copy=True).contiguous()

    def close(self) -> None:
        left = sorted(name for name in self.left if not _IGNORED.search(name))
        if left:
            raise DocpipeError("DP302", self.folder.name, f"{len(left)} weights are not PaliGemma 2's: {left[0]}, …")
