"""The same engine run by transformers: the reference that docpipe's own forward pass is held against.

Attention is eager (Gemma 2's soft-cap has no other exact form there), token_type_ids are always given (without them
the prefix is read causally), and the sliding window is set past the whole sequence, because the published weights
were trained without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from docpipe.engines.paligemma import PaliGemmaEngine
from docpipe.engines.paligemma_job import Decoder
from docpipe.errors import DocpipeError
from docpipe.models.adapters import Adapter
from docpipe.models.load import plain_name
from docpipe.models.quantize import Choice

if TYPE_CHECKING:
    import torch

    from docpipe.models.decode import Decoded, Guide

WINDOW = 1 << 20
"""A sliding window longer than any sequence."""


class PaliGemmaReference(PaliGemmaEngine):
    """PaliGemma 2 by transformers' `generate`. Settings as `PaliGemmaEngine`; slower, and needs transformers."""

    name: ClassVar[str] = "paligemma-transformers"

    def choice(self, folder: Path) -> Choice:
        """As transformers loads it. Raises DP313 when it is to be quantized."""
        if self.quantize not in ("none", "auto"):
            raise DocpipeError("DP313", self.quantize, f"the reference engine runs {folder.name} as it is loaded")
        return Choice("none", None, None, f"transformers, {self.dtype}")

    def decoder(self, folder: Path, adapter: Adapter | None = None) -> Decoder:
        """transformers' model of a folder. Raises DP302 when it cannot be loaded, DP305 without transformers."""
        if self.grammar != "off":
            raise DocpipeError("DP302", folder.name, "the reference engine decodes without a grammar")
        return TransformersDecoder(folder, self.dtype, self.device, adapter=adapter)


class TransformersDecoder:
    """`PaliGemmaForConditionalGeneration`, greedy, fed with token ids and pixels that docpipe prepared."""

    def __init__(
        self,
        folder: Path,
        dtype: str = "float32",
        device: str = "cpu",
        window: int | None = WINDOW,
        adapter: Adapter | None = None,
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
            model: Any = PaliGemmaForConditionalGeneration.from_pretrained(
                folder,
                config=config,
                dtype=getattr(torch, dtype),
                attn_implementation="eager",
                use_safetensors=True,
                local_files_only=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise DocpipeError("DP302", folder.name, str(error)) from error
        if adapter is not None:
            _merge(model, adapter)
        self.model = model.eval().to(device)
        eos = config.eos_token_id if config.eos_token_id is not None else config.text_config.eos_token_id
        self.eos: int = eos
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

    def decode(
        self,
        pixels: torch.Tensor,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        *,
        guides: Sequence[Guide] = (),  # noqa: ARG002  (refused by the engine)
        watch: Sequence[int] = (),
        drafts: Sequence[Sequence[int]] = (),  # noqa: ARG002  (it goes no faster by them)
    ) -> list[Decoded]:
        """Greedy answers. generate has one limit for all rows: the shorter ones are cut afterwards."""
        out, ids = self._generate(pixels, prompts, max(limits))
        answers = []
        for row, (tokens, limit) in enumerate(zip(ids, limits, strict=True)):
            logs = [out.scores[i][row].float().log_softmax(-1)[token] for i, token in enumerate(tokens[:limit])]
            said = next((i for i, token in enumerate(tokens[:limit]) if token in watch), 0)
            watched = out.scores[said][row].float().log_softmax(-1)[list(watch)].tolist() if watch else []
            answers.append(replace(_cut(tokens[:limit], logs, self.eos), watched=tuple(watched)))
        return answers

    def likeliest(
        self,
        pixels: torch.Tensor,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        width: int,
        *,
        guides: Sequence[Guide] = (),  # noqa: ARG002  (refused by the engine)
    ) -> list[list[Decoded]]:
        """The likeliest answers by its beam search, which is run for each prompt alone because limits may differ."""
        beams = {"num_beams": width, "num_return_sequences": width, "length_penalty": 0.0, "early_stopping": "never"}
        found = []
        for row, (prompt, limit) in enumerate(zip(prompts, limits, strict=True)):
            out, ids = self._generate(pixels[row : row + 1], [prompt], limit, **beams)
            scores = self.model.compute_transition_scores(out.sequences, out.scores, out.beam_indices)
            found.append([_cut(tokens, list(logs), self.eos) for tokens, logs in zip(ids, scores, strict=True)])
        return found

    def _generate(
        self, pixels: torch.Tensor, prompts: Sequence[Sequence[int]], limit: int, **settings: Any
    ) -> tuple[Any, list[list[int]]]:
        import torch

        given = self.inputs(pixels, prompts)
        with torch.inference_mode():
            out = self.model.generate(
                **given,
                do_sample=False,
                max_new_tokens=limit,
                eos_token_id=self.eos,
                pad_token_id=self.eos,
                output_scores=True,
                return_dict_in_generate=True,
                **settings,
            )
        return out, out.sequences[:, given["input_ids"].shape[1] :].tolist()


def _merge(model: Any, adapter: Adapter) -> None:
    """Put an adapter into transformers' weights, as docpipe reads it."""
    weights, left = adapter.weights, set(adapter.weights.names)
    for key, parameter in model.named_parameters():
        name = plain_name(key)
        left.discard(name)
        parameter.data.copy_(weights.changed(name, parameter.data))
    weights.check_names(weights.names - left)


def _cut(tokens: list[int], logs: Sequence[Any], eos: int) -> Decoded:
    """An answer up to its <eos>, which the log-probabilities include."""
    from docpipe.models.decode import Decoded

    end = tokens.index(eos) if eos in tokens else len(tokens)
    return Decoded(tuple(tokens[:end]), tuple(float(x) for x in logs[: min(end + 1, len(tokens))]), end < len(tokens))
