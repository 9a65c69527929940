"""The PaliGemma 2 engine: any task, any checkpoint, by docpipe's own forward pass.

Where no checkpoint is named or shipped for a task it abstains and says which would do: it never guesses.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from PIL import Image

from docpipe.document import Box, Content, ErrorItem, Origin
from docpipe.engines.base import Answer, Request
from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.confidence import measured
from docpipe.models.load import digest, load_network, network_config
from docpipe.models.masks import mask_decoder
from docpipe.models.preprocess import Frame, arrangement, is_blank, pad_to_white_square, resize, to_pixels
from docpipe.models.registry import Checkpoint
from docpipe.models.tokenizer import Tokenizer
from docpipe.models.vae import MaskDecoder
from docpipe.tasks import Task
from docpipe.tasks.base import prompt_for

if TYPE_CHECKING:
    import torch

    from docpipe.models.decode import Decoded
    from docpipe.models.network import NetworkConfig

MIN_SKEW = 0.2
"""Degrees of skew that are worth turning a crop for."""


class Decoder(Protocol):
    """What runs a loaded checkpoint: images [B, 3, side, side] and prompts in, decoded answers out."""

    def decode(self, pixels: torch.Tensor, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[Decoded]:
        """The greedy answer to each prompt."""
        ...

    def likeliest(
        self, pixels: torch.Tensor, prompts: Sequence[Sequence[int]], limits: Sequence[int], width: int
    ) -> list[list[Decoded]]:
        """The `width` likeliest answers to each prompt, best first."""
        ...


@dataclass(frozen=True)
class Loaded:
    """A checkpoint ready to answer."""

    checkpoint: Checkpoint
    digest: str
    config: NetworkConfig
    tokenizer: Tokenizer
    decoder: Decoder
    masks: MaskDecoder | None = None


@dataclass(frozen=True)
class Job:
    """One request, made ready: which checkpoint, with which prompt, how long the answer may be."""

    request: Request
    loaded: Loaded
    prompt: str
    tokens: tuple[int, ...]
    limit: int

    def origin(self, engine: str, count: int | None = None) -> Origin:
        return Origin(
            engine=engine,
            checkpoint=self.loaded.checkpoint.name,
            digest=self.loaded.digest,
            prompt=self.prompt,
            crop=self.request.clipping.record,
            tokens=count,
        )


class PaliGemmaEngine:
    """Reads regions with PaliGemma 2.

    model: a folder, registered name or hub name, for every task it can do. models: the same for single tasks.
    revision: of a hub repository. offline: use the local cache only. dtype: float32 or bfloat16. batch: regions read
    at once. device: as PyTorch names it. confidence: "calibrated" gives none where the checkpoint ships no
    calibration for the task, "raw" the tokens' mean probability instead. candidates: answers to a request, by beam
    search; those after the first become alternatives, from which the first that passes the task's check is taken.
    mask_decoder: the file or https address of the weights that turn `<seg>` codes into masks, `#sha256=…` after it;
    without it the checkpoint's folder is looked into (`models.masks`).
    """

    name: ClassVar[str] = "paligemma"

    def __init__(
        self,
        *,
        model: str | None = None,
        models: Mapping[str, str] | None = None,
        revision: str | None = None,
        offline: bool = False,
        dtype: str = "float32",
        batch: int = 8,
        device: str = "cpu",
        confidence: Literal["calibrated", "raw"] = "calibrated",
        candidates: int = 1,
        mask_decoder: str | None = None,
    ) -> None:
        self.model, self.models, self.revision, self.offline = model, dict(models or {}), revision, offline
        self.dtype, self.batch, self.device, self.confidence = dtype, max(1, batch), device, confidence
        self.candidates, self.mask_decoder = max(1, candidates), mask_decoder
        self._loaded: dict[str, Loaded | DocpipeError] = {}
        self._chosen: dict[str, Checkpoint | None] = {}

    @property
    def in_batches(self) -> bool:
        """Whether it gains from seeing several pages' requests at once: when there is a checkpoint to run."""
        return bool(self.model or self.models or registry.shipped())

    def can_read(self, task: Task) -> bool:
        """Every task: without a checkpoint for it, the answer says which to name."""
        return bool(task.name)

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer in order; requests of one task and checkpoint are run together, `batch` at a time."""
        answers: list[Answer | None] = [None] * len(requests)
        groups: dict[tuple[str, str, int], list[int]] = {}
        jobs: dict[int, Job] = {}
        for index, request in enumerate(requests):
            made = self._prepare(request)
            if isinstance(made, Answer):
                answers[index] = made
            else:
                jobs[index] = made
                groups.setdefault((made.loaded.digest, request.task.name, made.limit), []).append(index)
        given = 0
        for indices in groups.values():
            for first in range(0, len(indices), self.batch):
                part = indices[first : first + self.batch]
                for index, answer in zip(part, self._answers([jobs[i] for i in part]), strict=True):
                    answers[index] = answer
                while given < len(answers) and (ready := answers[given]) is not None:
                    yield ready
                    given += 1
        yield from (answer for answer in answers[given:] if answer is not None)

    def checkpoint_for(self, task: str) -> Checkpoint | None:
        """The checkpoint that reads a task: the one named for it, else the one named for all, else one that ships.

        None when none of these was trained for it. Raises DP301 for an unknown name, DP307 when the one named for
        this very task cannot do it.
        """
        if task in self.models:
            checkpoint = registry.find_checkpoint(self.models[task])
            if not checkpoint.can_read(task):
                raise DocpipeError("DP307", checkpoint.name, f"{task} is read by {_names(task)}")
            return checkpoint
        named = [registry.find_checkpoint(self.model)] if self.model else []
        for checkpoint in (*named, *registry.shipped().values()):
            if checkpoint.can_read(task):
                return checkpoint
        return None

    def _prepare(self, request: Request) -> Job | Answer:
        task, origin = request.task, Origin(engine=self.name)
        try:
            if task.name not in self._chosen:
                self._chosen[task.name] = self.checkpoint_for(task.name)
            checkpoint = self._chosen[task.name]
            if checkpoint is None:
                return Answer(origin, reason=self._missing(task.name))
            if is_blank(request.clipping.image):
                blank = task.parse("") if task.writes == "text" else None
                return Answer(origin, blank, reason="the crop is blank")
            loaded = self.load(checkpoint)
            said = loaded.checkpoint.settings.get(task.name)
            blanks = {"language": request.language, **request.parts}
            try:
                prompt = (
                    said.prompt.format(**blanks)
                    if said and said.prompt
                    else prompt_for(task, checkpoint.family, request.language, **request.parts)
                )
            except KeyError as error:
                raise DocpipeError(
                    "DP307", task.name, f"its prompt needs {error.args[0]!r}, which was not given"
                ) from error
            tokens = loaded.tokenizer.prompt(prompt)
            room = loaded.config.text.longest - loaded.config.vision.tokens - len(tokens)
            if room < 1:
                limit, used = loaded.config.text.longest, len(tokens)
                raise DocpipeError("DP307", task.name, f"a prompt of {used} tokens is too long, {limit} is the most")
            most = said.max_tokens if said and said.max_tokens else task.max_tokens
            return Job(request, loaded, prompt, tuple(tokens), min(most, room))
        except DocpipeError as error:
            return Answer(origin, error=_item(error, request))

    def _missing(self, task: str) -> str:
        """Why nothing can read a task, and what to do."""
        named = f"; {registry.find_checkpoint(self.model).name} was not trained for it" if self.model else ""
        return f"no checkpoint for {task}{named}: name one with --model (a folder or hub name); {_names(task)}"

    def load(self, checkpoint: Checkpoint) -> Loaded:
        """A checkpoint, fetched and loaded once. Raises DP301 or DP302, again for each request, when it cannot be."""
        kept = self._loaded.get(checkpoint.name)
        if kept is None:
            try:
                found = registry.locate(checkpoint, revision=self.revision, offline=self.offline)
                folder = found.folder
                if folder is None:
                    raise DocpipeError("DP301", checkpoint.name, "it has neither a folder nor a hub name")
                config = network_config(folder)
                tokenizer = Tokenizer(folder, config)
                masks = mask_decoder(self.mask_decoder, folder)
                kept = Loaded(found, digest(folder), config, tokenizer, self.decoder(folder), masks)
            except DocpipeError as error:
                kept = error
            self._loaded[checkpoint.name] = kept
        if isinstance(kept, DocpipeError):
            raise kept
        return kept

    def decoder(self, folder: Path) -> Decoder:
        """What runs the checkpoint in a folder. Raises DP302."""
        return _OwnDecoder(folder, self.dtype, self.device)

    def _answers(self, jobs: Sequence[Job]) -> list[Answer]:
        """Answers to jobs of one checkpoint and task. When a batch fails, each is run alone."""
        try:
            loaded = jobs[0].loaded
            pixels = to_pixels([picture(job) for job in jobs])
            given = pixels, [job.tokens for job in jobs], [job.limit for job in jobs]
            if self.candidates > 1:
                found = loaded.decoder.likeliest(*given, self.candidates)
            else:
                found = [[answer] for answer in loaded.decoder.decode(*given)]
            return [self._answer(job, every) for job, every in zip(jobs, found, strict=True)]
        except Exception as error:  # an engine's failure is an answer
            if len(jobs) > 1:
                return [answer for job in jobs for answer in self._answers([job])]
            if not isinstance(error, DocpipeError):
                error = DocpipeError("DP304", self.name, f"{type(error).__name__}: {error}")
            return [Answer(jobs[0].origin(self.name), error=_item(error, jobs[0].request))]

    def _answer(self, job: Job, every: Sequence[Decoded]) -> Answer:
        """The first of the decoded answers, and the others that read differently as its alternatives."""
        task, checkpoint, decoded = job.request.task, job.loaded.checkpoint, every[0]
        texts = dict.fromkeys(job.loaded.tokenizer.text(one.tokens) for one in every)
        content, *others = (parsed(task, text, job) for text in texts)
        calibration = checkpoint.calibration.get(task.name)
        confidence = calibration(decoded.logprobs) if calibration else None
        least = checkpoint.abstain_below.get(task.name, 0.0)
        if confidence is not None and confidence < least:
            why = f"not sure enough: confidence {confidence:.2f}, {checkpoint.name} answers from {least:.2f} on"
            return Answer(job.origin(self.name, len(decoded.tokens)), confidence=confidence, reason=why)
        if confidence is None and self.confidence == "raw":
            confidence = min(1.0, measured(decoded.logprobs))
        reason = None if decoded.finished else f"the answer was cut at its limit of {job.limit} tokens (no <eos>)"
        return Answer(job.origin(self.name, len(decoded.tokens)), content, confidence, tuple(others), reason=reason)


class _OwnDecoder:
    """docpipe's own network and decoding loop."""

    def __init__(self, folder: Path, dtype: str, device: str) -> None:
        self.network = load_network(folder, dtype, device)

    def decode(self, pixels: torch.Tensor, prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> list[Decoded]:
        from docpipe.models.decode import generate

        return generate(self.network, pixels, prompts, limits)

    def likeliest(
        self, pixels: torch.Tensor, prompts: Sequence[Sequence[int]], limits: Sequence[int], width: int
    ) -> list[list[Decoded]]:
        from docpipe.models.beam import likeliest

        return likeliest(self.network, pixels, prompts, limits, width)


def picture(job: Job) -> Image.Image:
    """What the checkpoint sees: the crop upright, arranged as task or checkpoint say, at the checkpoint's size."""
    vision, checkpoint = job.loaded.config.vision, job.loaded.checkpoint
    image, said = upright(job.request), checkpoint.settings.get(job.request.task.name)
    if said and said.prepare:
        image = arrangement(said.prepare)(image, Frame(vision.side, vision.patch, said.options))
    else:
        image = job.request.task.prepare(image)
    return resize(image, vision.side, checkpoint.resize)  # type: ignore[arg-type]


def upright(request: Request) -> Image.Image:
    """The crop with the page's rotation and skew undone."""
    image, page = request.clipping.image, request.sheet.page
    turns = {90: Image.Transpose.ROTATE_270, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_90}
    if page.rotation in turns:
        image = image.transpose(turns[page.rotation])
    if abs(page.skew) >= MIN_SKEW:
        image = image.rotate(-page.skew, Image.Resampling.BICUBIC, expand=True, fillcolor="white")
    return image


def parsed(task: Task, text: str, job: Job) -> Content:
    """The answer as a content. A task's parser is given what it takes: `boxes`, the square that the image showed in
    points (none where it was turned); `parts`, what filled the prompt's blanks; `masks`, the decoder of `<seg>` codes.
    """
    takes = inspect.signature(task.parse).parameters
    known = {"boxes": _frame(task, job), "parts": dict(job.request.parts), "masks": job.loaded.masks}
    return task.parse(text, **{name: value for name, value in known.items() if name in takes})


def _frame(task: Task, job: Job) -> Box | None:
    page, box = job.request.sheet.page, job.request.region.box
    said = job.loaded.checkpoint.settings.get(task.name)
    padded = said.prepare == "white-square" if said and said.prepare else task.prepare is pad_to_white_square
    if page.rotation or abs(page.skew) >= MIN_SKEW:
        return None
    if padded:
        half, (x, y) = max(box.width, box.height) / 2, box.center
        box = Box(x - half, y - half, x + half, y + half)
    return box


def _names(task: str) -> str:
    known = [c.name for c in registry.checkpoints_for(task)]
    return "registered for it: " + ", ".join(known) if known else "no registered checkpoint was trained for it"


def _item(error: DocpipeError, request: Request) -> ErrorItem:
    return error.item(request.sheet.page.number, request.region.id)
