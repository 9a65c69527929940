"""Which weights of a real checkpoint learn: all, all but the vision tower, or LoRA adapters through peft."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from docpipe.errors import DocpipeError
from docpipe.train.plan import Adaptation
from docpipe.train.precision import native_bfloat16

if TYPE_CHECKING:
    from transformers import PaliGemmaForConditionalGeneration

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Linear layers of Gemma 2 that adapters are put onto."""

SEEING = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
"""Those of the vision tower."""


def load_checkpoint(folder: Path, adapt: Adaptation, device: str) -> PaliGemmaForConditionalGeneration:
    """transformers' model as the recipe wants it for training: attention with its soft-cap, full in every layer.

    big_vision trained with full attention; transformers' window of 4096 would hide image tokens at 896 px.
    Raises DP302 when the folder cannot be loaded, DP626 for qlora without CUDA.
    """
    from transformers import AutoConfig, PaliGemmaForConditionalGeneration
    from transformers.utils import logging

    logging.disable_progress_bar()
    quantized = adapt.train == "qlora"
    if quantized and not torch.cuda.is_available():
        raise DocpipeError("DP626", "qlora", 'weights of 4 bits need a CUDA GPU; train = "lora" runs anywhere')
    half = adapt.weights == "bfloat16" and adapt.train in ("lora", "qlora") and native_bfloat16()
    dtype = torch.bfloat16 if half or quantized else torch.float32
    more: dict[str, Any] = {}
    if quantized:
        more = {"quantization_config": _four_bits(), "device_map": {"": 0}}
    try:
        config: Any = AutoConfig.from_pretrained(folder)
        config.text_config.sliding_window = max(config.text_config.max_position_embeddings, 1 << 20)
        # The language model alone has a soft-cap, which only eager attention computes.
        attention = {"vision_config": "sdpa", "text_config": "eager"}
        model: Any = PaliGemmaForConditionalGeneration.from_pretrained(
            folder, config=config, dtype=dtype, attn_implementation=attention, use_safetensors=True, **more
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DocpipeError("DP302", folder.name, str(error)) from error
    if adapt.checkpointing:
        with _as_named_before():
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return model if quantized else model.to(device)  # type: ignore[no-any-return]


@contextmanager
def _as_named_before() -> Iterator[None]:
    """transformers has renamed gradient checkpointing; peft, and the oldest version that we take, have the old name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _four_bits() -> Any:
    from transformers import BitsAndBytesConfig

    kind: Any = BitsAndBytesConfig
    return kind(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16,
                bnb_4bit_use_double_quant=True)  # fmt: skip


def adapted(model: Any, adapt: Adaptation, seed: int) -> Any:
    """The model with the weights that learn marked so; with adapters it is peft's, around the same modules.

    Raises DP305 when adapters are asked for and peft is not installed.
    """
    if adapt.train in ("lora", "qlora"):
        try:
            from peft import LoraConfig, get_peft_model
        except ImportError as error:
            raise DocpipeError("DP305", "peft", "docpipe[train] brings it") from error
        text = rf".*language_model.*\.({'|'.join(LINEAR)})"
        vision = rf"|.*vision_tower.*\.({'|'.join(SEEING)})" if adapt.vision else ""
        torch.manual_seed(seed)  # of the adapters' first halves; the second ones are zero
        # peft takes the pattern for the whole name.
        wanted = LoraConfig(
            r=adapt.rank, lora_alpha=adapt.alpha, lora_dropout=adapt.dropout, target_modules=text + vision,
            task_type="CAUSAL_LM",
        )  # fmt: skip
        with _as_named_before():
            return get_peft_model(model, wanted)
    model.requires_grad_(True)
    if adapt.train == "frozen-vision":
        model.model.vision_tower.requires_grad_(False)
    return model


def write_result(model: Any, source: Path, folder: Path, said: dict[str, Any], adapt: Adaptation, base: str) -> None:
    """Write what was learnt: a peft adapter folder, or a whole checkpoint with the source's tokenizer files.

    said: becomes docpipe.json. base: what the adapter's settings name as the checkpoint that it belongs to. The
    folder appears whole or not at all.
    """
    from docpipe.models.load import weight_files

    beside = folder.with_name(folder.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    if adapt.train in ("lora", "qlora"):
        model.peft_config["default"].base_model_name_or_path = base
        model.save_pretrained(beside, safe_serialization=True)
        (beside / "README.md").unlink(missing_ok=True)  # peft's form of a card, all blanks
    else:
        stored = _stored_type(weight_files(source)[0])
        tied = {"lm_head.weight"} if model.config.get_text_config().tie_word_embeddings else set()
        state = {n: value.detach().to(stored) for n, value in model.state_dict().items() if n not in tied}
        model.save_pretrained(beside, state_dict=state, safe_serialization=True)
        # The source's own files, but for the weights: transformers would write what it only needed for training.
        for path in source.iterdir():
            if path.is_file() and path.suffix in (".json", ".model") and "safetensors" not in path.name:
                shutil.copyfile(path, beside / path.name)
        _retyped(beside / "config.json", str(stored).removeprefix("torch."))
    (beside / "docpipe.json").write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    gone = folder.with_name(folder.name + ".old")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.exists():
        folder.rename(gone)
    beside.rename(folder)
    shutil.rmtree(gone, ignore_errors=True)


def _stored_type(path: Path) -> torch.dtype:
    """The type that the source's largest weights are stored in; float16 is left for bfloat16's range."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        first: torch.dtype = file.get_tensor(next(iter(file.keys()))).dtype
    return torch.float32 if first is torch.float16 else first


def _retyped(path: Path, dtype: str) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    for part in (config, config.get("text_config", {}), config.get("vision_config", {})):
        for key in ("dtype", "torch_dtype"):
            if key in part:
                part[key] = dtype
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
