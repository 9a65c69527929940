"""A checkpoint's quantized form: made layer by layer, kept in a folder, mapped from there.

A checkpoint is read one parameter at a time, and each matrix is quantized before the next is read: there are never two
copies. What is made can be kept in a folder, a file a layer, and is mapped from there the next time. The embedding
stays bfloat16 and mapped: of its gigabyte only the rows of the tokens used are ever in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from docpipe.errors import DocpipeError
from docpipe.models.quantize import (
    WORDS,
    Choice,
    Mode,
    Treatment,
    choose,
    finish,
    linear_names,
    put_module,
    reduced,
    remade,
    set_parameter,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from docpipe.models.adapters import Adapter
    from docpipe.models.network import Network

FORMAT = 1
HEADER = "quantized.json"
"""Names the folder's files; written last, so that a folder without it is unfinished."""

KEPT = "quantized"
"""The folder, in docpipe's cache, that holds what is kept: a folder each."""


def load(
    folder: Path,
    mode: Mode = "auto",
    *,
    keep: Path | None = None,
    treatment: Treatment | None = None,
    adapter: Adapter | None = None,
) -> tuple[Network, Choice]:
    """A checkpoint with quantized layers, and how it computes.

    folder: a checkpoint, or one that `save` wrote. keep: a folder of folders where what is made is looked for by the
    checkpoint's digest, and kept. Raises DP302 as `load_network`, DP313 as `choose`.
    """
    from docpipe.models.load import load_network

    choice = choose(mode)
    if (folder / HEADER).is_file():
        if adapter is not None:
            raise DocpipeError("DP311", folder.name, "an adapter cannot be merged into weights that are quantized")
        return _read(folder, choice)
    if choice.mode == "none":
        return load_network(folder, adapter=adapter), choice
    if keep is None:
        return _made(folder, choice, treatment, adapter), choice
    place = keep / kept_name(folder, choice, treatment, adapter)
    for again in (False, True):
        if not (place / HEADER).is_file():
            try:
                save(folder, place, choice, treatment, adapter, spare=True)
            except DocpipeError as error:
                if error.code != "DP401":
                    raise
                # Nowhere to keep it: the run goes on, and the next one quantizes anew.
                return _made(folder, choice, treatment, adapter), choice
        try:
            return _read(place, choice)
        except DocpipeError:  # what was kept is damaged
            if again:
                raise
            shutil.rmtree(place, ignore_errors=True)
    raise AssertionError


def kept_name(folder: Path, choice: Choice, treatment: Treatment | None = None, adapter: Adapter | None = None) -> str:
    """The name under which a checkpoint's quantized form is kept: by all that it is made of."""
    from docpipe.models.load import digest

    parts = [digest(folder)]
    if adapter is not None:
        parts.append(adapter.digest)
    if treatment is not None:
        parts.append(json.dumps(asdict(treatment), sort_keys=True))
    whole = hashlib.sha256("\n".join(parts).encode()).hexdigest() if len(parts) > 1 else parts[0]
    return f"{whole[:32]}-{choice.mode}-v{FORMAT}"


def save(
    folder: Path, to: Path, choice: Choice, treatment: Treatment | None = None, adapter: Adapter | None = None,
    *, spare: bool = False,
) -> None:  # fmt: skip
    """Write a checkpoint's quantized form, an adapter merged into it, into a folder, which appears whole.

    spare: a folder that another process finished meanwhile stays, since others may be reading it. Raises DP302, DP310,
    DP311, DP401.
    """
    from safetensors.torch import save_file

    from docpipe.models.load import read_json

    files: list[str] = []
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as beside:
            place = Path(beside)

            for name, tensors in _parts(folder, choice, treatment, adapter):
                files.append(f"{name}.safetensors")
                save_file({key: value.contiguous() for key, value in tensors.items()}, place / files[-1])
            for other in (
                "config.json",
                "tokenizer.json",
                "tokenizer_config.json",
                "preprocessor_config.json",
            ):
                if (folder / other).is_file():
                    shutil.copyfile(folder / other, place / other)
            if (folder / "docpipe.json").is_file():  # without the digest that it pins: these are other weights
                said = {key: value for key, value in read_json(folder / "docpipe.json").items() if key != "digest"}
                (place / "docpipe.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf-8")
            header = {
                "format": FORMAT,
                "mode": choice.mode,
                "files": files,
                "treatment": asdict(treatment or Treatment()),
            }
            (place / HEADER).write_text(json.dumps(header, indent=1) + "\n")
            if spare and (to / HEADER).is_file():
                return
            if to.is_dir():
                shutil.rmtree(to)
            os.replace(place, to)
            place.mkdir()  # for the context to remove
    except OSError as error:
        raise DocpipeError("DP401", str(to), error.strerror or str(error)) from error


def _made(folder: Path, choice: Choice, treatment: Treatment | None, adapter: Adapter | None) -> Network:
    """The network made of a checkpoint, a layer at a time."""
    network = _bare(folder)
    for _, tensors in _parts(folder, choice, treatment, adapter):
        _put(network, tensors, choice)
    network.head = None
    return finish(network, choice)


def _bare(folder: Path) -> Network:
    """The network of a folder's configuration, without weights."""
    import torch

    from docpipe.models.load import network_config
    from docpipe.models.network import Network

    with torch.device("meta"):
        return Network(network_config(folder))


def _parts(
    folder: Path, choice: Choice, treatment: Treatment | None, adapter: Adapter | None
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """A checkpoint's tensors as they are kept, by group (a layer, the embedding), read and quantized as they are asked
    for: "layer/part" where a linear layer is made of them, plain names of the others.
    """
    import torch

    from docpipe.models.load import Weights, stacked, weight_plan

    network = _bare(folder)
    plan = weight_plan(network.config)
    if adapter is not None:
        adapter.weights.check_names({part for parts in plan.values() for part in parts})
    linears = set(linear_names(network))
    weights = Weights(folder, torch.float32, "cpu", adapter)

    def take(name: str, dtype: torch.dtype | None = None) -> Tensor:
        return stacked(network.config, name)(weights.take(plan[name], network.get_parameter(name).shape, dtype))

    def linear(name: str, weight: Tensor, bias: Tensor | None) -> dict[str, Tensor]:
        parts = reduced(name, weight, bias, choice, treatment)
        return {f"{name}/{part}": value for part, value in parts.items()}

    for group, names in _groups(plan):
        told: dict[str, Tensor] = {}
        for name in names:
            owner, _, leaf = name.rpartition(".")
            if owner in linears:
                if leaf == "weight":
                    told |= linear(owner, take(name), take(f"{owner}.bias") if f"{owner}.bias" in plan else None)
            elif name in {"words", "head"}:
                value = take(name, torch.bfloat16)
                if name == "head" or network.config.tied:
                    yield "unembed", linear("unembed", value, None)
                if name == "words":
                    yield WORDS, {WORDS: value}
            else:
                told[name] = take(name)
        if told:
            yield group, told
    weights.close()


def _put(network: Network, tensors: Mapping[str, Tensor], choice: Choice) -> None:
    """Give a network what `_parts` gives. Layers are packed side by side: that is most of what a start takes."""
    import torch

    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        owner, slash, part = key.partition("/")
        if slash:
            layers.setdefault(owner, {})[part] = value
        elif key == WORDS:
            network.words = torch.nn.Parameter(value, requires_grad=False)
        else:
            set_parameter(network, key, value)
    with ThreadPoolExecutor(max(1, torch.get_num_threads())) as threads:
        for owner, module in zip(layers, threads.map(lambda kept: remade(kept, choice), layers.values()), strict=True):
            put_module(network, owner, module)


def _groups(plan: Mapping[str, object]) -> Iterator[tuple[str, list[str]]]:
    """The plan's parameters by layer, the large embedding by itself, in order."""
    groups: dict[str, list[str]] = {}
    for name in plan:
        parts = name.split(".")
        group = "-".join(parts[:2]) if parts[0].endswith("_layers") else name if name in {"words", "head"} else "rest"
        groups.setdefault(group, []).append(name)
    yield from groups.items()


def _read(folder: Path, choice: Choice) -> tuple[Network, Choice]:
    """The network of a folder that `save` wrote, and how it computes: in the folder's mode, whatever was asked for.

    Raises DP302 when it is damaged, DP313 when its mode is not right on this processor.
    """
    from safetensors import SafetensorError, safe_open

    from docpipe.models.load import read_json

    header = read_json(folder / HEADER)
    if header.get("format") != FORMAT:
        raise DocpipeError("DP302", folder.name, f"its format is {header.get('format')}, this docpipe knows {FORMAT}")
    if choice.mode == "none" or (choice.mode != header["mode"]):
        choice = choose(header["mode"])
    network = _bare(folder)
    try:
        for name in header["files"]:
            with safe_open(folder / name, framework="pt", device="cpu") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            # The embedding stays in its file, and the large matrices until they are packed; what stays of the others is
            # copied, since pages of a file count as this process's memory as long as anything of it is held.
            large = {WORDS, "int8", "weight"}
            _put(network, {k: v if k.rpartition("/")[2] in large else v.clone() for k, v in tensors.items()}, choice)
            del tensors
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise DocpipeError("DP302", folder.name, f"the weights are damaged: {error}") from error
    network.head = None
    left = [name for name, value in network.named_parameters() if value.is_meta]
    if left:
        raise DocpipeError("DP302", folder.name, f"the weight {left[0]} is missing")
    return finish(network, choice), choice
