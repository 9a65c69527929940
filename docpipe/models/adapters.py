"""LoRA adapters (Hu and others, arXiv 2106.09685) in peft's files, put onto a base without peft.

A folder holds adapter_config.json and adapter_model.safetensors. An adapter is either merged into the base's weights
while they are loaded, W + s B A (`load.load_network`), or shares the base's weights with others and adds its own part
as it runs (`adapted`): so several adapters of one base are switched without loading anything again, and each costs
its own few weights alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from docpipe.errors import DocpipeError
from docpipe.models.load import assign, digest, part_rows, plain_name, read_json, stacked, weight_plan

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from docpipe.models.network import Network

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

_OTHER_KINDS = (
    "use_dora", "use_qalora", "use_bdlora", "lora_bias", "layer_replication", "trainable_token_indices",
    "target_parameters", "alora_invocation_tokens", "arrow_config", "kasa_config", "velora_config",
    "monteclora_config", "fan_in_fan_out",
)  # fmt: skip
"""Settings of peft's that change what an adapter computes, none of which is plain LoRA."""

_CHANGE_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin training that take a part out of the base's weights first: the base as published does not fit them."""


@dataclass(frozen=True)
class Adapter:
    """An adapter's settings: rank, alpha (by pattern where it differs), and the base that it names, if any."""

    folder: Path
    rank: int
    alpha: float
    base: str | None = None
    rank_stabilised: bool = False
    alphas: Mapping[str, float] = field(default_factory=dict)
    targets: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the hashes of weights and settings, as lower-case hex: alpha is as much of it as a weight."""
        settings = hashlib.sha256((self.folder / CONFIG).read_bytes()).hexdigest()
        return hashlib.sha256((digest(self.folder) + settings).encode()).hexdigest()

    @cached_property
    def weights(self) -> AdapterWeights:
        """Its weights, read once. Raises DP310 when they are damaged or are not plain LoRA."""
        return AdapterWeights.read(self)

    def scale(self, module: str, rank: int) -> float:
        """s of W + s B A for a module by its name: alpha / r, or alpha / sqrt(r) where rank-stabilised."""
        found = (a for pattern, a in self.alphas.items() if re.match(rf"(.*\.)?({pattern})$", module))
        alpha = next(found, self.alpha)
        return alpha / (rank**0.5 if self.rank_stabilised else rank)


@dataclass(frozen=True)
class AdapterWeights:
    """By a stored weight's plain name (`load.plain_name`): the pair A [r, in] and s B [out, r], or the weight whole."""

    subject: str
    pairs: dict[str, tuple[Tensor, Tensor]]
    whole: dict[str, Tensor]

    @classmethod
    def read(cls, adapter: Adapter) -> AdapterWeights:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        subject, path = adapter.name, adapter.folder / WEIGHTS
        if not path.is_file():
            raise DocpipeError("DP310", subject, f"{WEIGHTS} is missing; pickled weights are never opened")
        try:
            stored = load_file(path)
        except (SafetensorError, OSError) as error:
            raise DocpipeError("DP310", subject, f"the weights are damaged: {error}") from error
        downs: dict[str, Tensor] = {}
        ups: dict[str, tuple[str, Tensor]] = {}
        whole: dict[str, Tensor] = {}
        for key, value in stored.items():
            module = key.removeprefix("base_model.model.")
            if found := re.fullmatch(r"(.+)\.lora_(A|B)(?:\.default)?\.weight", module):
                name = plain_name(found[1] + ".weight")
                if found[2] == "A":
                    downs[name] = value.flatten(1).float()
                else:
                    ups[name] = (found[1], value.flatten(1).float())
            elif "lora_" in module:
                raise DocpipeError("DP310", subject, f"it is not plain LoRA: {key}")
            else:
                whole[plain_name(re.sub(r"\.modules_to_save(\.default)?|\.base_layer", "", module))] = value.float()
        if downs.keys() != ups.keys() or not (downs or whole):
            odd = sorted(downs.keys() ^ ups.keys())
            raise DocpipeError("DP310", subject, f"half of a pair is missing: {odd[0]}" if odd else "it is empty")
        pairs = {}
        for name, down in downs.items():
            module, up = ups[name]
            if up.shape[1] != down.shape[0]:
                raise DocpipeError("DP310", subject, f"the ranks of {name} differ: {down.shape[0]}, {up.shape[1]}")
            pairs[name] = (down, up * adapter.scale(module, down.shape[0]))
        for name, values in (*pairs.items(), *((n, (v,)) for n, v in whole.items())):
            if not all(bool(value.isfinite().all()) for value in values):
                raise DocpipeError("DP310", subject, f"{name} holds values that are not finite")
        return cls(subject, pairs, whole)

    @property
    def names(self) -> set[str]:
        """The stored weights that it changes, by plain name."""
        return {*self.pairs, *self.whole}

    def changed(self, name: str, weight: Tensor) -> Tensor:
        """A stored weight of the base with the adapter's part, in float32; as it is where the adapter leaves it.

        Raises DP311 when the shapes differ.
        """
        if name in self.whole:
            self.check_shape(name, tuple(self.whole[name].shape), tuple(weight.shape))
            return self.whole[name]
        if name not in self.pairs:
            return weight
        down, up = self.pairs[name]
        self.check_shape(name, (up.shape[0], down.shape[1]), (weight.shape[0], weight[0].numel()))
        return weight.float() + (up @ down).view(weight.shape)

    def check_names(self, known: set[str]) -> None:
        """Raises DP311 when the base lacks a weight that the adapter changes."""
        if odd := sorted(self.names - known):
            raise DocpipeError("DP311", self.subject, f"the base has no weight {odd[0]}")

    def check_shape(self, name: str, found: tuple[int, ...], needed: tuple[int, ...]) -> None:
        """Raises DP311 when a weight of the adapter is not of the base's shape."""
        if found != needed:
            raise DocpipeError("DP311", self.subject, f"{name} is for {found}, the base's is {needed}")


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / CONFIG).is_file()


def read_adapter(folder: Path) -> Adapter:
    """An adapter's settings. Raises DP310 when they are missing or broken, or it is of a kind other than plain LoRA."""
    name = folder.name
    if not is_adapter(folder):
        raise DocpipeError("DP310", name, f"the folder holds no {CONFIG}")
    try:
        said = read_json(folder / CONFIG)
    except DocpipeError as error:
        raise DocpipeError("DP310", name, error.detail) from error
    kind = said.get("peft_type")
    if kind != "LORA":
        raise DocpipeError("DP310", name, f"it is {kind}, not LoRA")
    other = next((key for key in _OTHER_KINDS if said.get(key)), None)
    if other:
        raise DocpipeError("DP310", name, f"{other} is set: only plain LoRA is known")
    began = said.get("init_lora_weights")
    if isinstance(began, str) and began.startswith(_CHANGE_THE_BASE):
        raise DocpipeError("DP310", name, f"{began} changes the base's weights: convert it to plain LoRA with peft")
    try:
        return Adapter(
            folder=folder,
            rank=int(said["r"]),
            alpha=float(said["lora_alpha"]),
            base=_text(said.get("base_model_name_or_path")),
            rank_stabilised=bool(said.get("use_rslora")),
            alphas={str(k): float(v) for k, v in dict(said.get("alpha_pattern") or {}).items()},
            targets=_targets(said.get("target_modules")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DocpipeError("DP310", name, f"{CONFIG} is not of the known form: {error}") from error


def adapted(network: Network, adapter: Adapter) -> Network:
    """The base with an adapter, as a network that shares all of the base's weights and adds its own part as it runs.

    The base stays as it is; its layers may be quantized. Raises DP310 and DP311, the latter also for an adapter that
    replaces weights of a quantized base as a whole.
    """
    import torch

    weights, config = adapter.weights, network.config
    plan = weight_plan(config)
    weights.check_names({part for parts in plan.values() for part in parts})
    if weights.whole and network.unembed is not None:
        raise DocpipeError("DP311", weights.subject, "it replaces weights as a whole, and the base's are quantized")
    made, shapes = _sharing(network)
    for name, parts in plan.items():
        rows = part_rows(config, name, shapes[name][0], len(parts))
        if any(part in weights.whole for part in parts):
            base = network.get_parameter(name)
            value, first = base.detach().clone(), 0
            for part, count in zip(parts, rows, strict=True):
                if part in weights.whole:
                    given = weights.whole[part]
                    given = given.flatten(1) if given.dim() == 4 else given
                    weights.check_shape(part, tuple(given.shape), (count, *base.shape[1:]))
                    # Only rows of the same stored weight are reordered, so a part can be prepared by itself.
                    place = torch.zeros(base.shape)
                    place[first : first + count] = given
                    value[first : first + count] = stacked(config, name)(place)[first : first + count].to(value)
                first += count
            assign(made, name, value)
        if any(part in weights.pairs for part in parts):
            _add_low_rank(made, name, parts, rows, weights)
    return made.eval().requires_grad_(False)


def _sharing(network: Network) -> tuple[Network, dict[str, torch.Size]]:
    """A network of its own that shares all layers and weights, and the shapes of its parameters unquantized."""
    import torch

    from docpipe.models.network import Network

    with torch.device("meta"):
        made = Network(network.config)
    shapes = {name: parameter.shape for name, parameter in made.named_parameters()}
    for name, module in list(made.named_modules()):
        shared = network.get_submodule(name)
        if isinstance(module, torch.nn.Linear) and not isinstance(shared, torch.nn.Linear):
            parent, _, leaf = name.rpartition(".")
            setattr(made.get_submodule(parent), leaf, shared)
    if network.unembed is not None:
        made.head, made.unembed, made.computes_in = None, network.unembed, network.computes_in
        for own, layer in zip(made.vision_layers, network.vision_layers, strict=True):
            own.attends_in = layer.attends_in
    for name, parameter in network.named_parameters():
        assign(made, name, parameter.data)
    return made, shapes


def _add_low_rank(made: Network, name: str, parts: tuple[str, ...], rows: list[int], weights: AdapterWeights) -> None:
    """Put a low-rank term onto one linear layer: A's of its parts below each other, B's as blocks."""
    import torch

    from docpipe.models.network import LowRankLinear

    owner = name.removesuffix(".weight")
    layer = made.get_submodule(owner)
    width = getattr(layer, "in_features", None)
    if width is None:
        raise DocpipeError("DP310", weights.subject, f"{parts[0]} is no linear layer's: only those can be low-rank")
    downs, ups, first = [], [], 0
    for part, count in zip(parts, rows, strict=True):
        if part in weights.pairs:
            down, up = weights.pairs[part]
            weights.check_shape(part, (up.shape[0], down.shape[1]), (count, width))
            block = torch.zeros(sum(rows), up.shape[1])
            block[first : first + count] = up
            downs.append(down)
            ups.append(block)
        first += count
    up = stacked(made.config, name)(torch.cat(ups, 1))
    parent, _, leaf = owner.rpartition(".")
    like = layer.weight if isinstance(layer, torch.nn.Linear) else made.places.to(made.computes_in)
    added = LowRankLinear(layer, torch.cat(downs).to(like), up.to(like))
    setattr(made.get_submodule(parent), leaf, added)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _targets(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(sorted(str(v) for v in value)) if isinstance(value, list) else ()
