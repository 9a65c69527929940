"""The PaliGemma 2 engine: any task, any checkpoint, by docpipe's own forward pass.

Where no checkpoint is named or shipped for a task it abstains and says which would do: it never guesses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from docpipe.document import AnswerContent, ErrorItem, Origin
from docpipe.engines.base import Answer, Request
from docpipe.engines.paligemma_decoder import OwnDecoder
from docpipe.engines.paligemma_job import Decoder, Job, Loaded, parsed, picture, sure_of_parts, truth
from docpipe.engines.paligemma_weights import Weights
from docpipe.engines.score_answers import STAVES, score_answers
from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.adapters import Adapter, read_adapter
from docpipe.models.arithmetic import steady_threads, told
from docpipe.models.confidence import measured
from docpipe.models.digests import whole_digest
from docpipe.models.load import network_config
from docpipe.models.masks import mask_decoder
from docpipe.models.memory import size_of
from docpipe.models.preprocess import is_blank, to_pixels
from docpipe.models.quantize import Choice, Mode
from docpipe.models.registry import Checkpoint
from docpipe.models.tokenizer import Tokenizer
from docpipe.tasks import Task
from docpipe.tasks.base import prompt_for

if TYPE_CHECKING:
    from docpipe.models.decode import Decoded
    from docpipe.models.grammar import Grammar


class PaliGemmaEngine:
    """Reads regions with PaliGemma 2.

    model: a folder, registered name or hub name, for every task it can do; "base+folder" puts a LoRA adapter onto it.
    models: the same for single tasks; those that share a base share its weights in memory. revision: of a hub
    repository. offline: use the local cache only. dtype: float32 or bfloat16. batch: regions read at once. device: as
    PyTorch names it. confidence: "calibrated" gives none where the checkpoint ships no calibration for the task, "raw"
    the tokens' mean probability instead. candidates: answers to a request, by beam search; those after the first
    become alternatives, from which the first that passes the task's check is taken. grammar: "auto" lets answers only
    become well-formed HTML, SMILES or **kern (`models.grammar`; extra: grammar). mask_decoder: the file or https
    address of the weights that turn `<seg>` codes into masks, `#sha256=…` after it; without it the checkpoint's folder
    is looked into (`models.masks`).

    quantize: how the linear layers are computed on the CPU (`models.quantize`): "none" as loaded in `dtype`, "int8"
    (W8A8), "int8-weight", "bf16", or "auto", which is int8 where a checkpoint is beyond nano's size and the processor
    can, and says in `how` what it chose; a folder of `docpipe quantize` is computed as it was made. What is made is
    kept in docpipe's cache. memory: bytes, as "6G", that this engine may take in one process, by the prediction of
    `models.memory`: larger batches are split, and a checkpoint that cannot keep to it is an error (DP341); strips of
    music are not counted. drafts: "auto" decodes a lone request by a draft (`Request.draft`) and by what it said
    before (`models.draft`), the answer being the same, for int8 layers alone. There 4 rows take as long as 1, beyond
    nano's size at least (which "auto" leaves in float32); in float32 each row costs, and a batch of several requests
    fills the rows already.
    """

    name: ClassVar[str] = "paligemma"
    cached: ClassVar[bool] = True

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
        grammar: Literal["off", "auto"] = "off",
        mask_decoder: str | None = None,
        quantize: Mode = "auto",
        memory: str | int | None = None,
        drafts: Literal["off", "auto"] = "auto",
    ) -> None:
        self.model, self.models, self.revision, self.offline = model, dict(models or {}), revision, offline
        self.dtype, self.batch, self.device, self.confidence = dtype, max(1, batch), device, confidence
        self.candidates, self.grammar, self.mask_decoder = max(1, candidates), grammar, mask_decoder
        self.quantize, self.memory, self.drafts = quantize, None if memory is None else size_of(str(memory)), drafts
        self._weights = Weights(
            frozenset(name for name in (model, *self.models.values()) if name), revision, dtype, device, quantize,
            self.memory, self.batch, self.candidates,
        )  # fmt: skip
        self._grammars: dict[tuple[str, str], Grammar] = {}
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
            try:
                size = self._weights.at_once([jobs[i] for i in indices])
            except DocpipeError as error:  # another checkpoint, loaded since, has taken the room
                for index in indices:
                    answers[index] = Answer(jobs[index].origin(self.name), error=_item(error, requests[index]))
                continue
            for first in range(0, len(indices), size):
                part = indices[first : first + size]
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
            tokens = _spelt(loaded, prompt, task.name)
            room = loaded.config.text.longest - loaded.config.vision.tokens - len(tokens)
            if room < 1:
                limit, used = loaded.config.text.longest, len(tokens)
                raise DocpipeError("DP307", task.name, f"a prompt of {used} tokens is too long, {limit} is the most")
            most = said.max_tokens if said and said.max_tokens else task.max_tokens
            job = Job(request, loaded, prompt, tuple(tokens), min(most, room), self._grammar(task, loaded))
            self._weights.at_once([job])
            return job
        except DocpipeError as error:
            return Answer(origin, error=_item(error, request))

    def identity(self, request: Request) -> dict[str, object] | None:
        """What an answer depends on beside task, pixels, language and parts (see `stages.answers`), the checkpoint's
        weights by their digest. None where there is no checkpoint to answer.
        """
        checkpoint = self.checkpoint_for(request.task.name)
        if checkpoint is None:
            return None
        loaded = self.load(checkpoint)
        found, said = loaded.checkpoint, loaded.checkpoint.settings.get(request.task.name)
        return {
            "docpipe": version("docpipe"), "weights": loaded.digest, "checkpoint": found.name, "family": found.family,
            "dtype": self.dtype, "device": self.device, "confidence": self.confidence, "candidates": self.candidates,
            "grammar": self.grammar, "masks": self.mask_decoder, "settings": repr(said), "resize": found.resize,
            "calibration": repr(found.calibration.get(request.task.name)),
            "abstain": found.abstain_below.get(request.task.name, 0.0),
            "computed": told(loaded.how) if loaded.how is not None else self.dtype,
        }  # fmt: skip

    @property
    def takes_drafts(self) -> bool:
        """Whether what another engine read makes it faster."""
        return self.drafts == "auto"

    @property
    def how(self) -> str:
        """How each checkpoint that was loaded is computed, for the manifest; "" when none was."""
        ready = [one for one in self._loaded.values() if isinstance(one, Loaded) and one.how is not None]
        return "; ".join(f"{one.checkpoint.name}: {told(one.how)}" for one in ready if one.how is not None)

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
                adapter = read_adapter(found.adapter) if found.adapter else None
                choice = self.choice(folder)
                self._weights.count(found, config, choice, adapter)
                name, decoder = whole_digest(found), self.decoder(folder, adapter)
                kept = Loaded(found, name, config, tokenizer, decoder, masks, choice)
            except DocpipeError as error:
                kept = error
            self._loaded[checkpoint.name] = kept
        if isinstance(kept, DocpipeError):
            raise kept
        return kept

    def choice(self, folder: Path) -> Choice:
        """How a checkpoint is computed. Raises DP302 and DP313."""
        return self._weights.choice(folder)

    def decoder(self, folder: Path, adapter: Adapter | None = None) -> Decoder:
        """What runs the checkpoint in a folder, with an adapter. Raises DP302, DP310, DP311 and DP313."""
        return OwnDecoder(self._weights.network(folder, adapter), drafts=self.drafts == "auto")

    def _grammar(self, task: Task, loaded: Loaded) -> Grammar | None:
        """The grammar of a task's answers for a checkpoint's vocabulary, made once; None where none is to be used."""
        from docpipe.models.grammar import Grammar, has_grammar

        if self.grammar == "off" or not has_grammar(task.name):
            return None
        key = (loaded.checkpoint.name, task.name)
        if key not in self._grammars:
            config = loaded.config
            self._grammars[key] = Grammar(task.name, loaded.tokenizer, config.text.vocabulary, config.eos)
        return self._grammars[key]

    def _answers(self, jobs: Sequence[Job]) -> list[Answer]:
        """Answers to jobs of one checkpoint and task. When a batch fails, each is run alone."""
        try:
            with steady_threads(jobs[0].loaded.config):
                return self._computed(jobs)
        except Exception as error:  # an engine's failure is an answer
            if len(jobs) > 1:
                return [answer for job in jobs for answer in self._answers([job])]
            if not isinstance(error, DocpipeError):
                error = DocpipeError("DP304", self.name, f"{type(error).__name__}: {error}")
            return [Answer(jobs[0].origin(self.name), error=_item(error, jobs[0].request))]

    def _computed(self, jobs: Sequence[Job]) -> list[Answer]:
        """Answers to jobs of one checkpoint and task, run as one batch. Raises whatever goes wrong."""
        loaded = jobs[0].loaded
        if jobs[0].arranged == STAVES:
            return score_answers(jobs, self.name, raw=self.confidence == "raw")
        pixels = to_pixels([picture(job) for job in jobs])
        given = pixels, [job.tokens for job in jobs], [job.limit for job in jobs]
        guides = [job.grammar.guide() for job in jobs if job.grammar]
        watch = self._watched(jobs[0])
        if self.candidates > 1 and not watch:
            found = loaded.decoder.likeliest(*given, self.candidates, guides=guides)
        else:
            wanted = getattr(loaded.decoder, "drafts", False) and len(jobs) == 1
            drafts = [loaded.tokenizer.encode(draft_of(job.request)) for job in jobs] if wanted else []
            more: dict[str, Any] = {"drafts": drafts} if any(drafts) else {}
            found = [[answer] for answer in loaded.decoder.decode(*given, guides=guides, watch=watch, **more)]
        return [self._answer(job, every) for job, every in zip(jobs, found, strict=True)]

    def _answer(self, job: Job, every: Sequence[Decoded]) -> Answer:
        """The first of the decoded answers, and the others that read differently as its alternatives."""
        task, checkpoint, decoded = job.request.task, job.loaded.checkpoint, every[0]
        texts: dict[str, Decoded] = {}
        for one in every:
            texts.setdefault(job.loaded.tokenizer.text(one.tokens), one)
        content, *others = (parsed(task, text, job, one) for text, one in texts.items())
        calibration = checkpoint.calibration.get(task.name)
        confidence = calibration(decoded.logprobs) if calibration else None
        least = checkpoint.abstain_below.get(task.name, 0.0)
        if confidence is not None and confidence < least:
            why = f"not sure enough: confidence {confidence:.2f}, {checkpoint.name} answers from {least:.2f} on"
            return Answer(job.origin(self.name, len(decoded.tokens)), confidence=confidence, reason=why)
        if checkpoint.world and decoded.finished and not decoded.tokens:
            why = f"{checkpoint.name} has no answer to this; its world: {checkpoint.world}"
            return Answer(job.origin(self.name, 0), confidence=confidence, reason=why)
        if confidence is None and self.confidence == "raw":
            confidence = min(1.0, measured(decoded.logprobs))
        if decoded.watched and isinstance(content, AnswerContent):
            content, confidence = truth(content, decoded.watched, confidence if calibration else None)
        reason = None if decoded.finished else f"the answer was cut at its limit of {job.limit} tokens (no <eos>)"
        parts = sure_of_parts(job, decoded)
        origin = job.origin(self.name, len(decoded.tokens))
        return Answer(
            origin, content, confidence, tuple(others), reason=reason, part_confidences=parts, generated=True,
            truncated=not decoded.finished,
        )  # fmt: skip

    def _watched(self, job: Job) -> tuple[int, ...]:
        """The first tokens of True and False, where a task asks which it is.

        A vocabulary that has them within an answer alone knows them with the blank before them.
        """
        words: Sequence[str] = getattr(job.request.task, "choices", ())
        spelt = job.loaded.tokenizer.encode
        first = [token for word in words for token in (spelt(word) or spelt(" " + word))[:1]]
        return tuple(first) if len(set(first)) == len(words) else ()


def draft_of(request: Request) -> str:
    """What another engine read of a region; for text, where none did, the words that the PDF itself has there."""
    if request.draft is not None or request.task.writes != "text":
        return request.draft or ""
    inside = ([w.text for w in line.words if request.region.box.covers(w.box)] for line in request.sheet.source.lines())
    return "\n".join(" ".join(words) for words in inside if words)


def _spelt(loaded: Loaded, prompt: str, task: str) -> list[int]:
    """A prompt's tokens. Raises DP307 for one that the vocabulary cannot spell, naming checkpoints that may."""
    try:
        return loaded.tokenizer.prompt(prompt)
    except DocpipeError as error:
        name = loaded.checkpoint.name
        world = f"; its world: {loaded.checkpoint.world}" if loaded.checkpoint.world else ""
        raise DocpipeError(error.code, name, f"{error.detail}{world}; {_names(task, but=name)}") from error


def _names(task: str, but: str = "") -> str:
    known = [c.name for c in registry.checkpoints_for(task) if c.name != but]
    return "registered for it: " + ", ".join(known) if known else "no registered checkpoint was trained for it"


def _item(error: DocpipeError, request: Request) -> ErrorItem:
    return error.item(request.sheet.page.number, request.region.id)
