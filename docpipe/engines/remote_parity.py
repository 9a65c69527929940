"""Whether a server runs a checkpoint as it was trained: asked on connect, before any region is sent.

PaliGemma reads its image and its prompt with every token seeing every other (a prefix-LM). Servers have run it with
the causal mask of other models, or with one that is bidirectional over the image alone (vllm-project/vllm#27938): the
answers look sound and are worse. So a few drawings are read here with the right mask and with both wrong ones; those
where they part are sent to the server, and what it says tells which mask it has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image, ImageDraw, ImageFont

from docpipe.engines.remote_reply import Said
from docpipe.errors import DocpipeError
from docpipe.models.digests import whole_digest
from docpipe.models.preprocess import Frame, arrangement, resize, to_pixels
from docpipe.tasks import get_task
from docpipe.tasks.base import prompt_for

if TYPE_CHECKING:
    from torch import Tensor

    from docpipe.engines.paligemma_job import Loaded
    from docpipe.models.network import Network
    from docpipe.models.registry import Checkpoint

Mask = Literal["prefix", "image", "causal"]
"""Who sees whom before the answer. prefix: all see all, as trained. image: image tokens see each other, words only what
is before them. causal: every token only what is before it.
"""

WRONG: dict[Mask, str] = {
    "image": "it reads the prompt with a causal mask (bidirectional over the image alone)",
    "causal": "it reads image and prompt with a causal mask",
}
LENGTH = 16
"""Tokens of an answer that are compared."""

MARGIN = 0.5
"""Nats between the likeliest token and the next, under which rounding (bfloat16 logits) may change the answer."""

EVIDENCE = 0.5
"""Nats, over all probes, by which the answers must speak for one mask against another: rounding to bfloat16 moves one
token by about a tenth.
"""

CANDIDATES = 12
"""Drawings looked at here at most."""

LARGE = 4 * 2**30
"""Bytes of weights from which on the reference runs in bfloat16."""


@dataclass(frozen=True)
class Parity:
    """What the check found, and why, in a sentence. untold: right could not be told from wrong; unlooked: the model is
    none that docpipe knows.
    """

    outcome: Literal["same", "differs", "untold", "unlooked"]
    why: str


@dataclass(frozen=True)
class Answered:
    """A greedy answer. pieces: the text of each token; margins: of each token and of the end, in nats; ended: whether
    it ended within the limit.
    """

    text: str
    pieces: tuple[str, ...]
    tokens: tuple[int, ...]
    margins: tuple[float, ...]
    ended: bool

    @property
    def line(self) -> str:
        """The text, with a mark where it ended."""
        return line_of(self.text, self.ended)

    def fits(self, line: str) -> bool:
        """Whether a line is this answer, as far as rounding leaves it no choice."""
        sure = next((i for i, margin in enumerate(self.margins) if margin < MARGIN), len(self.margins))
        if sure == len(self.margins):
            return line == self.line
        return line.startswith("".join(self.pieces[:sure]).strip())

    def parts_from(self, other: Answered) -> float:
        """How surely this answer goes another way than `other` where they part: the smaller margin; 0 if they don't."""
        ends = (*self.tokens, -1) if self.ended else self.tokens
        theirs = (*other.tokens, -1) if other.ended else other.tokens
        at = next((i for i, (a, b) in enumerate(zip(ends, theirs, strict=False)) if a != b), None)
        return 0.0 if at is None else min(self.margins[at], other.margins[at])


def line_of(text: str, ended: bool) -> str:
    return text.strip() + ("\0" if ended else "")


def common(a: str, b: str) -> int:
    """How many characters two lines begin with in common."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@dataclass(frozen=True)
class Probe:
    """A drawing and a prompt with the answer of each mask. logs: natural log-probabilities of the right answer's tokens
    and its end under each mask.
    """

    picture: Image.Image
    prompt: str
    answers: Mapping[Mask, Answered]
    logs: Mapping[Mask, tuple[float, ...]] = field(default_factory=dict)

    def weight(self, mask: Mask) -> float:
        """How well it tells a wrong mask from the right one, in nats."""
        return self.answers["prefix"].parts_from(self.answers[mask])

    def vote(self, line: str, mask: Mask) -> float:
        """The weight, positive for an answer that goes the right way, negative for one that goes the wrong one."""
        right, wrong = common(line, self.answers["prefix"].line), common(line, self.answers[mask].line)
        return self.weight(mask) * ((right > wrong) - (right < wrong))


Ask = Callable[[Image.Image, str, int], Said]
"""Asks the server for at most so many tokens about a picture, which is ready for the checkpoint."""


_KNOWN: dict[tuple[str, str], list[Probe]] = {}
"""Probes by the checkpoint's digest and description: they are made once in a process."""


def probes_of(found: Checkpoint) -> list[Probe]:
    """What to ask a server that should serve a checkpoint whose folder is here. Raises DP301, DP302 and DP307."""
    key = whole_digest(found), repr(found)
    if key not in _KNOWN:
        _KNOWN[key] = telling(reference(found))
    return _KNOWN[key]


def reference(found: Checkpoint, device: str = "cpu") -> Loaded:
    """A checkpoint whose folder is here, run by docpipe's own forward pass. Raises DP301 and DP302 as the engine."""
    from docpipe.engines.paligemma import PaliGemmaEngine

    size = sum(path.stat().st_size for path in found.folder.glob("*.safetensors")) if found.folder else 0
    return PaliGemmaEngine(dtype="bfloat16" if size > LARGE else "float32", device=device).load(found)


def check(probes: Sequence[Probe], ask: Ask) -> Parity:
    """Hold a server against what a checkpoint says here (`telling`). Raises what `ask` raises."""
    said = [ask(probe.picture, probe.prompt, LENGTH) for probe in probes]
    lines = [line_of(answer.text, answer.finished) for answer in said]
    votes = {mask: sum(p.vote(line, mask) for p, line in zip(probes, lines, strict=True)) for mask in WRONG}
    for mask in sorted(votes, key=lambda mask: votes[mask]):
        if votes[mask] <= -EVIDENCE and all(p.answers[mask].fits(line) for p, line in zip(probes, lines, strict=True)):
            return Parity("differs", WRONG[mask])
    pairs = list(zip(probes, said, lines, strict=True))
    odd = [(p, s) for p, s, line in pairs if not p.answers["prefix"].fits(line)]
    if not odd and min(votes.values()) <= -EVIDENCE:
        odd = [(p, s) for p, s, line in pairs if line != p.answers["prefix"].line]
    if odd:
        (probe, answer), expected = odd[0], odd[0][0].answers["prefix"].text
        why = (
            f"{len(odd)} of {len(probes)} probes are answered otherwise than by the checkpoint here: to "
            f"{probe.prompt!r} it says {answer.text[:60]!r}, not {expected[:60]!r}; its weights, mask, chat template "
            "or image processing differ"
        )
        return Parity("differs", why)
    for mask in [mask for mask, vote in votes.items() if vote < EVIDENCE]:
        match nearer(probes, said, mask):
            case "wrong":
                return Parity("differs", WRONG[mask] + ", as the probabilities of its answers show")
            case "unclear":
                why = "the probes are answered as expected, but a wrong mask would answer them much alike"
                return Parity("untold", why)
    return Parity("same", f"{len(probes)} probes are answered as by the checkpoint here")


def nearer(probes: Sequence[Probe], said: Sequence[Said], mask: Mask) -> Literal["right", "wrong", "unclear"]:
    """Whether the server's log-probabilities are those of the right mask or of a wrong one, where the texts agree."""
    right = wrong = apart = 0.0
    for probe, answer in zip(probes, said, strict=True):
        expected = probe.answers["prefix"]
        if not answer.logprobs or answer.text.strip() != expected.text.strip():
            continue
        for given, a, b in zip(answer.logprobs, probe.logs["prefix"], probe.logs[mask], strict=False):
            right, wrong, apart = right + abs(given - a), wrong + abs(given - b), apart + abs(a - b)
    if apart < 0.1 or min(right, wrong) > apart / 2:  # too near each other to tell, or the server is near neither
        return "unclear"
    return "right" if right < wrong else "wrong"


def without_weights(ask: Callable[[Image.Image, str], Sequence[Any]], side: int) -> Parity:
    """Hold a server against itself, by the log-probabilities of its prompt's tokens (`prompt_logprobs` of vLLM).

    Two prompts begin alike and end otherwise. Where every token sees every other, the end changes what is predicted at
    the beginning; under a causal mask it cannot.
    """
    picture = next(drawings()).resize((side, side))
    try:
        one, two = (ask(picture, prompt) for prompt in ("caption en", "caption fr"))
    except DocpipeError as error:
        if error.code != "DP527":
            raise
        return Parity("untold", f"no checkpoint to compare with is here, and it tells nothing of its prompts: {error}")
    moved = []
    for a, b in zip(one[: len(one) // 2], two[: len(two) // 2], strict=False):
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            moved += [abs(_log(a[key]) - _log(b[key])) for key in a.keys() & b.keys()]
    if len(moved) < 8 or not all(map(math.isfinite, moved)):
        return Parity("untold", "no checkpoint to compare with is here, and it tells nothing of its prompts")
    most = max(moved)
    if most > 0.02:
        return Parity("same", "the end of a prompt changes how its beginning is read, as it must")
    if most < 0.001:
        return Parity("differs", "the end of a prompt has no part in how its beginning is read: the mask is causal")
    return Parity("untold", f"the end of a prompt changes how its beginning is read by {most:.4f} nats: too little")


def _log(entry: Any) -> float:
    value = entry.get("logprob") if isinstance(entry, Mapping) else entry
    return float(value) if isinstance(value, int | float) else math.nan


def telling(loaded: Loaded) -> list[Probe]:
    """The probes worth sending: those that tell a wrong mask from the right one, until all together do so well; and
    two at least.
    """
    made: list[Probe] = []
    told = dict.fromkeys(WRONG, 0.0)
    for probe in candidates(loaded):
        made.append(probe)
        for mask in WRONG:
            told[mask] += probe.weight(mask)
        if min(told.values()) >= 1.5 * EVIDENCE and len(made) > 1:
            break
    found = [probe for probe in made if any(probe.weight(mask) > 0 for mask in WRONG)]
    return [with_logs(loaded, probe) for probe in (found if len(found) > 1 else made[:4])]


def candidates(loaded: Loaded) -> Iterator[Probe]:
    """Drawings with each of at most two prompts of the checkpoint, read here under every mask."""
    pairs = prompts(loaded.checkpoint)[:2]
    for index, drawing in enumerate(drawings()):
        name, prompt = pairs[index % len(pairs)]
        picture = prepared(drawing, name, loaded)
        yield Probe(picture, prompt, answered(loaded, picture, prompt))


def prompts(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Tasks of a checkpoint that need nothing filled in, with their prompts. Raises DP307 when it has none."""
    found: dict[str, str] = {}
    for name in sorted(checkpoint.tasks or ("caption", "text")):
        said = checkpoint.settings.get(name)
        try:
            prompt = said.prompt.format(language="en") if said and said.prompt else None
            prompt = prompt or prompt_for(get_task(name), checkpoint.family)
        except (KeyError, DocpipeError):
            continue
        if prompt not in found.values() and not (said and said.prepare == "staves"):
            found[name] = prompt
    if not found:
        raise DocpipeError("DP307", checkpoint.name, "none of its tasks has a prompt that a probe could use")
    return list(found.items())


def prepared(drawing: Image.Image, task: str, loaded: Loaded) -> Image.Image:
    """A drawing as the checkpoint sees it for a task."""
    said, vision = loaded.checkpoint.settings.get(task), loaded.config.vision
    if said and said.prepare:
        drawing = arrangement(said.prepare)(drawing, Frame(vision.side, vision.patch, said.options))
    else:
        drawing = get_task(task).prepare(drawing)
    return resize(drawing, vision.side, loaded.checkpoint.resize)  # type: ignore[arg-type]


def drawings() -> Iterator[Image.Image]:
    """Drawings of no particular thing, always the same: bent lines and rings with letters, a ruled table, words."""
    font, small = ImageFont.load_default(26), ImageFont.load_default(18)
    for seed in range(CANDIDATES):
        rng = random.Random(seed)
        image = Image.new("RGB", (320, 240), "white")
        draw = ImageDraw.Draw(image)
        if seed % 3 == 0:
            rows, columns = rng.randint(3, 5), rng.randint(2, 4)
            across, down = 280 // columns, 200 // rows
            for i in range(rows + 1):
                draw.line([(20, 20 + i * down), (20 + across * columns, 20 + i * down)], fill="black", width=2)
            for j in range(columns + 1):
                draw.line([(20 + j * across, 20), (20 + j * across, 20 + down * rows)], fill="black", width=2)
            for i in range(rows):
                for j in range(columns):
                    words = rng.choice(["Name", "Zn", f"{rng.randint(2, 999)}", f"{rng.randint(1, 99) / 10}"])
                    draw.text((28 + j * across, 24 + i * down), words, fill="black", font=small)
        else:
            x, y, points = 40.0, 130.0, []
            for i in range(rng.randint(4, 7)):
                points.append((x, y))
                x, y = x + 38, 130 + (-1) ** i * rng.choice((14, 22, 30))
            draw.line(points, fill="black", width=3)
            for _ in range(rng.randint(1, 3)):
                px, py = rng.choice(points)
                draw.line(
                    [(px, py), (px + rng.choice((-12, 0, 12)), py + rng.choice((-44, 44)))], fill="black", width=3
                )
            ring_x, ring_y = rng.choice(points)
            corners = [
                (ring_x + 30 * math.cos(k * math.pi / 3), ring_y + 30 * math.sin(k * math.pi / 3)) for k in range(7)
            ]
            draw.line(corners, fill="black", width=3)
            draw.text((points[-1][0] + 4, points[-1][1] - 14), rng.choice(("OH", "N", "Cl", "Fe")), "black", font)
        yield image


def visible(mask: Mask, image: int, count: int) -> Tensor:
    """Bool [count, count] (query, key) of a prefix of `image` image tokens and words after them."""
    import torch

    if mask == "prefix":
        return torch.ones(count, count, dtype=torch.bool)
    seen = torch.ones(count, count, dtype=torch.bool).tril()
    if mask == "image":
        seen[:image, :image] = True
    return seen


def answered(loaded: Loaded, picture: Image.Image, prompt: str) -> dict[Mask, Answered]:
    """The greedy answer to a prompt under each mask, of `LENGTH` tokens at most."""
    import torch

    from docpipe.models.decode import Prefilled, step
    from docpipe.models.network import Cache, as_bias

    network, x, words = _inputs(loaded, picture, loaded.tokenizer.prompt(prompt))
    made: dict[Mask, Answered] = {}
    for mask in ("prefix", *WRONG):
        with torch.inference_mode():
            count = x.shape[1]
            cache = Cache(network.config.text, 1, count + LENGTH + 1, x)
            bias = as_bias(visible(mask, count - words, count), x.dtype)[None].to(x.device)
            places = torch.arange(1, count + 1, device=x.device)[None]
            logits = network.logits(network(x, places, cache, bias)[:, -1])
            state = Prefilled(cache, places[:, -1], None, logits)
            tokens: list[int] = []
            margins: list[float] = []
            while len(tokens) < LENGTH:
                best = logits[0].topk(2)
                margins.append(float(best.values[0] - best.values[1]))
                if int(best.indices[0]) == network.config.eos:
                    break
                tokens.append(int(best.indices[0]))
                logits = step(network, state, best.indices[:1])
        pieces = tuple(loaded.tokenizer.pieces(tokens))
        ended = len(tokens) < LENGTH
        made[mask] = Answered(loaded.tokenizer.text(tokens), pieces, tuple(tokens), tuple(margins), ended)
    return made


def with_logs(loaded: Loaded, probe: Probe) -> Probe:
    """A probe with the log-probabilities of its right answer where the prefix is read under each mask."""
    import torch

    from docpipe.models.network import Cache, as_bias

    tokens, answer = loaded.tokenizer.prompt(probe.prompt), probe.answers["prefix"].tokens
    network, x, _ = _inputs(loaded, probe.picture, [*tokens, *answer])
    count, given = x.shape[1], x.shape[1] - len(answer)
    places = torch.arange(1, count + 1, device=x.device)[None]
    wanted, logs = [*answer, network.config.eos], {}
    for mask in probe.answers:
        seen = torch.ones(count, count, dtype=torch.bool).tril()
        seen[:given, :given] = visible(mask, given - len(tokens), given)
        with torch.inference_mode():
            bias = as_bias(seen, x.dtype)[None].to(x.device)
            hidden = network(x, places, Cache(network.config.text, 1, count, x), bias)
            chances = network.logits(hidden[:, given - 1 :]).log_softmax(-1)[0]
        logs[mask] = tuple(float(chances[i, token]) for i, token in enumerate(wanted))
    return replace(probe, logs=logs)


def _inputs(loaded: Loaded, picture: Image.Image, tokens: Sequence[int]) -> tuple[Network, Tensor, int]:
    """The network, image and words as its inputs [1, N + T, D], and T."""
    import torch

    network: Network = getattr(loaded.decoder, "network")  # noqa: B009  (of docpipe's own decoder alone)
    device = network.words.device
    with torch.inference_mode():
        words = network.embed(torch.tensor([list(tokens)], device=device))
        x = torch.cat([network.see(to_pixels([picture]).to(device)), words], 1)
    return network, x, len(tokens)
