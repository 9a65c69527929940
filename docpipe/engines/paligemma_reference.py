"""The same engine run by transformers: the reference that docpipe's own forward pass is held against.

Attention is eager (Gemma 2's soft-cap has no other exact form there), token_type_ids are always given (without them
the prefix is read causally), and the sliding window is set past the whole sequence, because the published weights
were trained without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docpipe.engines.paligemma import Decoder, PaliGemmaEngine
from docpipe.errors import DocpipeError

if TYPE_CHECKING:
    import torch

    from docpipe.models.decode import Decoded

WINDOW = 1 << 20
"""A sliding window longer than any sequence."""


class PaliGemmaReference(PaliGemmaEngine):
    """PaliGemma 2 by transformers' `generate`. Settings as `PaliGemmaEngine`; slower, and needs transformers."""

    name: ClassVar[str] = "paligemma-transformers"

    def decoder(self, folder: Path) -> Decoder:
        """transformers' model of a folder. Raises DP302 when it cannot be loaded, DP305 without transformers."""
        return TransformersDecoder(folder, self.dtype, self.device)


class TransformersDecoder:
    """`PaliGemmaForConditionalGeneration`, greedy, fed with token ids and pixels that docpipe prepared."""

    def __init__(
        self, folder: Path, dtype: str = "float32", device: str = "cpu", window: int | None = WINDOW
    ) -> None:
        import torch

        if dtype not in ("float32", "bfloat16"):
            raise DocpipeError("DP302", folder.name, f"{dtype}: Gemma 2 overflows float16; take bfloat16 or float32")
        try:
            from transformers import PaliGemmaConfig, PaliGemmaForConditionalGeneration
        except ImportError as error:
            raise DocpipeError("DP305", "transformers", str(error)) from error
        try:
            config: Any = PaliGemmaConfig.from_pretrained(folder)
            if window is not None:
                config.text_config.sliding_window = window
            model = PaliGemmaForConditionalGeneration.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, dtype),
                attn_implementation="eager",
                use_safetensors=True,
                local_files_only=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise DocpipeError("DP302", folder.name, str(error)) from error
        self.model: Any = model.eval().to(device)  # type: ignore[no-untyped-call]
        self.side = config.vision_config.image_size
        self.image_tokens = (config.vision_config.image_size // config.vision_config.patch_size) ** 2

    def inputs(self, pixels: torch.Tensor, prompts: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """What the model is given: left-padded ids, masked padding, token types 0 (prefix) throughout, no labels."""
        import torch

        config, longest = self.model.config, max(len(prompt) for prompt in prompts)
        pad = config.pad_token_id or 0
        image = [config.image_token_id] * self.image_tokens
        ids = [[pad] * (longest - len(prompt)) + image + list(prompt) for prompt in prompts]
        real = [[0] * (longest - len(prompt)) + [1] * (self.image_tokens + len(prompt)) for prompt in prompts]
        made = {
            "input_ids": torch.tensor(ids),
            "attention_mask": torch.tensor(real),
            "token_type_ids": torch.zeros(len(ids), len(ids[0]), dtype=torch.long),
            "pixel_values": pixels.to(self.model.dtype),
        }
        return {key: value.to(self.model.device) for key, value in made.items()}

    def decode(self, pixels: torch.Tensor, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[Decoded]:
        """Greedy answers. Its generate has one limit for all rows: the shorter ones are cut afterwards."""
        import torch

        from docpipe.models.decode import Decoded

        config = self.model.config
        eos = config.eos_token_id if config.eos_token_id is not None else config.text_config.eos_token_id
        given = self.inputs(pixels, prompts)
        with torch.inference_mode():
            out = self.model.generate(
                **given,
                do_sample=False,
                max_new_tokens=max(limits),
                eos_token_id=eos,
                pad_token_id=eos,
                output_scores=True,
                return_dict_in_generate=True,
            )
        ids = out.sequences[:, given["input_ids"].shape[1] :]
        answers = []
        for row, (tokens, limit) in enumerate(zip(ids.tolist(), limits, strict=True)):
            tokens = tokens[:limit]
            end = tokens.index(eos) if eos in tokens else len(tokens)
            scores = [out.scores[i][row].float().log_softmax(-1)[tokens[i]] for i in range(min(end + 1, len(tokens)))]
            answers.append(Decoded(tuple(tokens[:end]), tuple(float(s) for s in scores), end < len(tokens)))
        return answers
