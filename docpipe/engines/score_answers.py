"""Answers to requests for music by a checkpoint that reads strips: `prepare = "staves"` in its docpipe.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from docpipe.document import PartConfidence, ScoreContent
from docpipe.engines.base import Answer
from docpipe.engines.paligemma_view import upright
from docpipe.engines.score_reading import DecodeStrips, ReadScore, ScoreReader, TokenRules, by_network
from docpipe.models.confidence import measured

if TYPE_CHECKING:
    from torch import Tensor

    from docpipe.engines.paligemma_job import Job, Loaded
    from docpipe.models.decode import Decoded

STAVES = "staves"
"""The image preparation that cuts a picture into strips, one for each staff and measure."""

WIDTH = 4
"""Candidates of each strip."""


def score_answers(jobs: Sequence[Job], engine: str, raw: bool = False) -> list[Answer]:
    """Answers to jobs of one checkpoint, in order. raw: an uncalibrated confidence where there is no other."""
    first = jobs[0]
    reader = reader_of(first.loaded, first.tokens, first.limit)
    found = reader.read([upright(job.request) for job in jobs])
    return [_answer(job, read, engine, raw) for job, read in zip(jobs, found, strict=True)]


def reader_of(loaded: Loaded, prompt: Sequence[int], limit: int) -> ScoreReader:
    """What reads pictures of music with a loaded checkpoint."""
    config = loaded.config
    vocabulary = tuple(loaded.tokenizer.piece(token) for token in range(config.text.vocabulary))
    network = getattr(loaded.decoder, "network", None)
    decode = by_network(network, prompt, limit, WIDTH) if network is not None else _plainly(loaded, prompt, limit)
    return ScoreReader(decode, vocabulary, config.eos)


def _plainly(loaded: Loaded, prompt: Sequence[int], limit: int) -> DecodeStrips:
    """A decoder that is not our own network: its n-best, without rules."""

    def decode(pixels: Tensor, rules: Sequence[TokenRules]) -> Sequence[Sequence[Decoded]]:
        count = len(rules)
        return loaded.decoder.likeliest(pixels, [prompt] * count, [limit] * count, WIDTH)

    return decode


def _answer(job: Job, read: ReadScore, engine: str, raw: bool) -> Answer:
    """The answer to one request. Where the confidence is too low it abstains, and what it read is an alternative, with
    how sure each of its measures is.
    """
    task, checkpoint, origin = job.request.task, job.loaded.checkpoint, job.origin(engine, read.tokens)
    if read.kern is None:
        return Answer(origin, reason="no staff lines were found in the picture")
    content, parts = ScoreContent(kern=read.kern), _parts(job, read, raw)
    calibration = checkpoint.calibration.get(task.name)
    confidence = calibration(read.logprobs) if calibration else measured(read.logprobs) if raw else None
    least = checkpoint.abstain_below.get(task.name, 0.0)
    if calibration and confidence is not None and confidence < least:
        threshold = f"answers from {least:.2f} on" if least <= 1 else "is never sure enough"
        why = f"not sure enough: confidence {confidence:.2f}, {checkpoint.name} {threshold}"
        return Answer(
            origin, confidence=confidence, alternatives=(content,), reason=why, part_confidences=parts, generated=True
        )
    reason = _doubts(read, job.limit)
    return Answer(
        origin, content, confidence, reason=reason, part_confidences=parts, generated=True, truncated=read.cut > 0
    )


def _parts(job: Job, read: ReadScore, raw: bool) -> tuple[PartConfidence, ...]:
    """How sure each measure is, where a calibration tells (raw: its mean token), and each note."""
    calibration = job.loaded.checkpoint.part_calibration.get(job.request.task.name)
    sure = calibration or (measured if raw else None)
    if sure is None:
        return read.notes
    measures = [
        PartConfidence(where=f"measure {number}", text="", confidence=min(1.0, sure(logs)))
        for number, logs in enumerate(read.measures)
    ]
    return (*measures, *read.notes)


def _doubts(read: ReadScore, limit: int) -> str | None:
    """What a reader of the answer should know, in a sentence."""
    said = []
    if read.cut:
        said.append(f"{read.cut} strips were cut at their limit of {limit} tokens")
    if read.unfit:
        places = sorted({(system, measure) for system, measure, _ in read.unfit})
        named = ", ".join(f"{measure + 1}" + (f" of system {s + 1}" if places[-1][0] else "") for s, measure in places)
        said.append(f"these measures do not add up: {named}")
    if read.left_out:
        said.append(f"{read.left_out} systems with another number of staves were left out")
    return "; ".join(said) or None
