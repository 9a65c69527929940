"""Tiny PaliGemma 2 models with random weights, as transformers builds and saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

GOLDEN = Path(__file__).parent.parent / "golden"

VOCABULARY, IMAGE_TOKEN = 300, 299

SHAPES: dict[str, dict[str, Any]] = {
    "3b": {"hidden_size": 72, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
           "intermediate_size": 288, "query_pre_attn_scalar": 16},
    "10b": {"hidden_size": 56, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 8,
            "intermediate_size": 224, "query_pre_attn_scalar": 8},
    "28b": {"hidden_size": 72, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
            "intermediate_size": 576, "query_pre_attn_scalar": 18},
}  # fmt: skip
"""Text shapes of the three sizes, shrunk: the ratios and the attention scale are the real ones'."""


def random_model(shape: str = "3b", *, side: int = 56, patch: int = 14, seed: int = 0, **text: Any) -> Any:
    """transformers' model in float32. The attention cap is 8 instead of 50, so that it bites on scores this small."""
    from transformers import Gemma2Config, PaliGemmaConfig, PaliGemmaForConditionalGeneration, SiglipVisionConfig

    torch.manual_seed(seed)
    settings = {"num_hidden_layers": 3, "vocab_size": VOCABULARY, "bos_token_id": 2, "eos_token_id": 1,
                "pad_token_id": 0, "attn_logit_softcapping": 8.0, **SHAPES[shape], **text}  # fmt: skip
    vision = SiglipVisionConfig(hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                                patch_size=patch, image_size=side, vision_use_head=False,
                                hidden_act="gelu_pytorch_tanh")  # fmt: skip
    config = PaliGemmaConfig(
        vision_config=vision,
        text_config=Gemma2Config(**settings),
        image_token_index=IMAGE_TOKEN,
        projection_dim=settings["hidden_size"],
        vocab_size=VOCABULARY,
        bos_token_id=2,
        eos_token_id=1,
        pad_token_id=0,
    )
    config._attn_implementation = "eager"
    model = PaliGemmaForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("norm.weight", "layernorm.weight")) and "language" in name:
                weight.normal_(0, 0.1)
            elif "q_proj.weight" in name or "k_proj.weight" in name:
                weight.normal_(0, 0.35)
            elif weight.dim() > 1:
                weight.normal_(0, 0.12)
    return model


def save(model: Any, folder: Path) -> Path:
    """The model as a checkpoint folder."""
    model.save_pretrained(folder)
    return folder


def random_pixels(count: int, side: int = 56, seed: int = 1) -> Tensor:
    """[count, 3, side, side] in -1..1."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def random_prompts(*lengths: int, seed: int = 2) -> list[list[int]]:
    """Token ids, `<bos>` first."""
    made = torch.Generator().manual_seed(seed)
    return [[2, *torch.randint(3, IMAGE_TOKEN, (n - 1,), generator=made).tolist()] for n in lengths]
