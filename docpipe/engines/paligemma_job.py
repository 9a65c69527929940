"""One request made ready for PaliGemma 2: the checkpoint, the prompt, the picture, and how the answer is read."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from docpipe.document import AnswerContent, Content, Origin, PartConfidence
from docpipe.engines.base import Request
from docpipe.engines.paligemma_view import View, on_page, upright
from docpipe.models.parts import Spelling, parts_of
from docpipe.models.preprocess import Frame, arrangement, pad_to_white_square, resize
from docpipe.models.registry import Checkpoint
from docpipe.models.tokenizer import Tokenizer
from docpipe.models.vae import MaskDecoder
from docpipe.notation.table_structure import is_structure
from docpipe.tasks import Task

if TYPE_CHECKING:
    import torch

    from docpipe.models.decode import Decoded, Guide
    from docpipe.models.grammar import Grammar
    from docpipe.models.network import NetworkConfig
    from docpipe.models.quantize import Choice, Mode


class Decoder(Protocol):
    """What runs a loaded checkpoint: images [B, 3, side, side] and prompts in, decoded answers out."""

    def decode(
        self,
        pixels: torch.Tensor,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        *,
        guides: Sequence[Guide] = (),
        watch: Sequence[int] = (),
        drafts: Sequence[Sequence[int]] = (),
    ) -> list[Decoded]:
        """The greedy answer to each prompt. guides: for each what it may say; watch: see `decode.generate`; drafts: for
        each the tokens of another reading, which may be used to go faster and change no answer.
        """
        ...

    def likeliest(
        self,
        pixels: torch.Tensor,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        width: int,
        *,
        guides: Sequence[Guide] = (),
    ) -> list[list[Decoded]]:
        """The `width` likeliest answers to each prompt, best first."""
        ...


@dataclass(frozen=True)
class Loaded:
    """A checkpoint ready to answer. digest: of its weights, and of its adapter's when it has one. how: it computes."""

    checkpoint: Checkpoint
    digest: str
    config: NetworkConfig
    tokenizer: Tokenizer
    decoder: Decoder
    masks: MaskDecoder | None = None
    how: Choice | None = None

    @property
    def mode(self) -> Mode:
        """How its layers are quantized."""
        return self.how.mode if self.how is not None else "none"


@dataclass(frozen=True)
class Job:
    """One request, made ready: which checkpoint, with which prompt, how long the answer may be."""

    request: Request
    loaded: Loaded
    prompt: str
    tokens: tuple[int, ...]
    limit: int
    grammar: Grammar | None = None

    def origin(self, engine: str, count: int | None = None) -> Origin:
        return Origin(
            engine=engine,
            checkpoint=self.loaded.checkpoint.name,
            digest=self.loaded.digest,
            prompt=self.prompt,
            crop=self.request.clipping.record,
            tokens=count,
        )

    @property
    def arranged(self) -> str:
        """How the picture is arranged in its square: a name of `preprocess.ARRANGEMENTS`, "" for a task's own way."""
        task = self.request.task
        said = self.loaded.checkpoint.settings.get(task.name)
        if said and said.prepare:
            return said.prepare
        return "white-square" if task.prepare is pad_to_white_square else ""


def picture(job: Job) -> Image.Image:
    """What the checkpoint sees: the crop upright, arranged as task or checkpoint say, at the checkpoint's size."""
    vision, checkpoint = job.loaded.config.vision, job.loaded.checkpoint
    image, said = upright(job.request), checkpoint.settings.get(job.request.task.name)
    if said and said.prepare:
        image = arrangement(said.prepare)(image, Frame(vision.side, vision.patch, said.options))
    else:
        image = job.request.task.prepare(image)
    return resize(image, vision.side, checkpoint.resize)  # type: ignore[arg-type]


def parsed(task: Task, text: str, job: Job, decoded: Decoded) -> Content:
    """The answer as a content, its boxes on the page. A task's parser is given what it takes: `boxes`, what the
    picture showed in upright points (none where it was cut up or scaled to its content); `parts`, what filled the
    prompt's blanks; `masks`, the decoder of `<seg>` codes; `sure`, the least probability of the tokens of a part. A
    table's structure alone is filled with words found there.
    """
    if task.writes == "table" and is_structure(text):
        from docpipe.engines.table_fill import filled

        return filled(text, job.request, View.of(job.request, padded=job.arranged == "white-square"))
    takes = inspect.signature(task.parse).parameters
    sure = Spelling(job.loaded.tokenizer.pieces(decoded.tokens), decoded.logprobs).least if "sure" in takes else None
    known: dict[str, object] = {"parts": dict(job.request.parts), "masks": job.loaded.masks, "sure": sure}
    if "boxes" not in takes or job.arranged not in ("", "squeeze", "white-square"):
        return task.parse(text, **{name: value for name, value in known.items() if name in takes})
    view = View.of(job.request, padded=job.arranged == "white-square")
    known["boxes"] = view.frame
    return on_page(task.parse(text, **{name: value for name, value in known.items() if name in takes}), view)


def sure_of_parts(job: Job, decoded: Decoded) -> tuple[PartConfidence, ...]:
    """How sure each part of an answer is: of each cell, atom or note its least probable token."""
    tokenizer = job.loaded.tokenizer
    return parts_of(job.request.task.writes, tokenizer.pieces(decoded.tokens), decoded.logprobs)


def truth(
    content: AnswerContent, watched: Sequence[float], calibrated: float | None
) -> tuple[AnswerContent, float | None]:
    """An answer of True or False with the probability of True: of the two alone, soft-capped, where one was said.

    watched: their log-probabilities. Gives with it the confidence: the calibrated one, else the probability of the
    answer given; none for an answer that is neither.
    """
    yes, no = (math.exp(log) for log in watched)
    probability = yes / (yes + no) if yes + no > 0 else 0.5
    said = {"true": probability, "yes": probability, "false": 1 - probability, "no": 1 - probability}
    confidence = said.get(content.answer.strip().strip(".!").casefold()) if calibrated is None else calibrated
    return content.model_copy(update={"probability": probability}), confidence
