"""Figures of each kind that a router must tell apart: molecule, score, chart, photo, table, text and other.

Molecules and scores come from a pool that their own synthesizers fill once (`figure_pool`, kept in the cache);
everything else is drawn on the spot. Figure i depends on (seed, i) and the pool, which is the same everywhere.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from docpipe.train.synth.scene.canvas import bounds
from docpipe.train.synth.scene.charts import chart
from docpipe.train.synth.scene.diagrams import diagram, plot
from docpipe.train.synth.scene.textures import photo
from docpipe.train.synth.scene.words import KINDS
from docpipe.train.synth.scene.writing import table, text
from docpipe.train.synth.scenes import shapes, worn

Pixels = npt.NDArray[np.uint8]

POOL_VERSION = 1
POOL_MOLECULES, POOL_SYSTEMS = 1200, 360

_RINGS = (
    "C1CCCCC1 c1ccccc1 c1ccncc1 C1CCCC1 C1CCOC1 c1ccoc1 c1ccsc1 c1cc[nH]c1 C1CCNCC1 c1ncncc1 C1COCCN1 c1ccc2ccccc2c1 "
    "c1ccc2[nH]ccc2c1 c1ncc2ccccc2n1"
).split()
_LINKS = "C CC O N C(=O) C(=O)N C(=O)O S(=O)(=O) C=C CN CO NC(=O) CCC C(C)".split()
_ENDS = "C CC O N F Cl Br C(=O)O C#N OC C(F)(F)F N(C)C C(C)C [N+](=O)[O-] S C(C)(C)C C(=O)N".split()


@dataclass(frozen=True)
class Figure:
    """pixels: uint8 [side, side, 3], the figure in the middle of a white square, as the router sees it."""

    pixels: Pixels
    kind: str


def made_up_smiles(rng: random.Random) -> str:
    """A molecule of one to four rings or chains, put together by rule; it need not exist."""
    written = rng.choice(_ENDS[:8])
    if written in ("F", "Cl", "Br") and rng.random() < 0.5:
        written = "C"
    for number in range(rng.randint(1, 4)):
        ring = rng.choice(_RINGS)
        if number or rng.random() < 0.7:
            written += rng.choice(_LINKS)
        marked = ring.replace("1", "3").replace("2", "4")
        spot = [i for i, sign in enumerate(marked) if sign in "cC" and i > 1 and marked[i + 1 : i + 2] not in "34]"]
        if spot and rng.random() < 0.6:
            at = rng.choice(spot) + 1
            marked = marked[:at] + f"({rng.choice(_ENDS)})" + marked[at:]
        written += marked
    return written + (rng.choice(_LINKS[:2]) + rng.choice(_ENDS) if rng.random() < 0.3 else "")


class _MadeUp:
    """A pool of made-up molecules for `molecules.molecules`; needs no list of real ones."""

    def draw(self, rng: random.Random) -> object:
        from rdkit import Chem, rdBase

        with rdBase.BlockLogs():
            while True:
                found = Chem.MolFromSmiles(made_up_smiles(rng))
                if found is not None:
                    return found


def figure_pool(folder: Path | None = None) -> dict[str, list[Pixels]]:
    """Grey drawings of molecules and scores by kind, read from the cache or drawn there first (a minute of CPU).

    folder: None takes DOCPIPE_CACHE, else ~/.cache/docpipe.
    """
    cache = folder or Path(os.environ.get("DOCPIPE_CACHE") or Path.home() / ".cache" / "docpipe")
    path = cache / f"figure-pool-{POOL_VERSION}.npz"
    if not path.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.stem}.{os.getpid()}.npz")
        rng = random.Random("figure kinds: molecules")
        drawn = {
            "molecule": [_molecule(rng) for _ in range(POOL_MOLECULES)],
            "score": list(islice(_systems(0), POOL_SYSTEMS)),
        }
        arrays = {f"{kind}_{i}": pixels for kind, some in drawn.items() for i, pixels in enumerate(some)}
        np.savez_compressed(part, **arrays)  # type: ignore[arg-type]
        part.replace(path)
    with np.load(path, allow_pickle=False) as stored:
        return {
            kind: [stored[name] for name in stored.files if name.startswith(kind)] for kind in ("molecule", "score")
        }


def _molecule(rng: random.Random) -> Pixels:
    from docpipe.train.synth.molecules import drawn, random_style

    pool = _MadeUp()
    while True:
        bond = rng.uniform(9, 24)
        made = drawn(pool.draw(rng), random_style(rng, ("",), (bond, bond + 1)), 288, rng, 0.3)  # type: ignore[arg-type]
        if made is not None:
            return inked(made.pixels)


def _systems(seed: int) -> Iterator[Pixels]:
    from docpipe.train.synth.scores import systems

    return (sheet.pixels for sheet in systems(seed, fresh="figure kinds"))


def inked(pixels: Pixels, margin: int = 3) -> Pixels:
    """A grey drawing cut to its ink."""
    x0, y0, x1, y1 = (round(value) for value in bounds(pixels < 170))
    return pixels[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]


@lru_cache(maxsize=2)
def _shared_pool(folder: Path | None) -> dict[str, list[Pixels]]:
    return figure_pool(folder)


class Figures:
    """Draws figures. fonts: TrueType files for words. pool: its folder; held_out: the tenth of it that training never
    sees. pooled: False draws every molecule and score anew, which needs no pool and takes longer.
    """

    def __init__(
        self, fonts: Sequence[str] = ("",), pool: Path | None = None, *, held_out: bool = False, pooled: bool = True
    ) -> None:
        self.fonts = tuple(fonts)
        whole = _shared_pool(pool) if pooled else {}
        self._pool = {k: v[: len(v) // 10] if held_out else v[len(v) // 10 :] for k, v in whole.items()}

    def figure(self, kind: str, rng: random.Random) -> Image.Image:
        """A figure of that kind at the size of a crop, RGB. Raises KeyError for an unknown kind."""
        width, height = _size(rng)
        drawers: dict[str, Callable[[], Image.Image]] = {
            "molecule": partial(self._molecule, rng),
            "score": partial(self._score, rng),
            "chart": partial(self._chart, width, height, rng),
            "photo": lambda: Image.fromarray(photo(max(48, height // 2), max(48, width // 2), rng)),
            "table": partial(table, max(90, width), height, rng, self.fonts),
            "text": partial(text, width, rng.choice((height, max(20, height // 4))), rng, self.fonts),
            "other": partial(self._other, width, height, rng),
        }
        return drawers[kind]()

    def _drawing(self, kind: str, rng: random.Random) -> Pixels:
        if kind in self._pool:
            return rng.choice(self._pool[kind])
        return _molecule(rng) if kind == "molecule" else next(_systems(rng.getrandbits(31)))

    def _molecule(self, rng: random.Random) -> Image.Image:
        image = Image.fromarray(self._drawing("molecule", rng))
        if rng.random() < 0.3:
            image = image.rotate(rng.choice((90, 180, 270)), expand=True)
        if rng.random() < 0.12:  # two on one picture
            other = Image.fromarray(self._drawing("molecule", rng))
            both = Image.new("L", (image.width + other.width + 12, max(image.height, other.height)), 255)
            both.paste(image, (0, 0))
            both.paste(other, (image.width + 12, 0))
            image = both
        scale = rng.uniform(1.0, 2.2)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
        image = _with_margin(image, rng)
        return image.convert("RGB")

    def _score(self, rng: random.Random) -> Image.Image:
        systems = [self._drawing("score", rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
        width = min(s.shape[1] for s in systems)
        if rng.random() < 0.35 and len(systems) == 1:  # some measures of it
            width = round(width * rng.uniform(0.35, 0.8))
        left = rng.randint(0, min(s.shape[1] for s in systems) - width)
        stack = np.concatenate([s[:, left : left + width] for s in systems])
        return Image.fromarray(stack).convert("RGB")

    def _chart(self, width: int, height: int, rng: random.Random) -> Image.Image:
        if rng.random() < 0.3:
            canvas, _ = chart(128, rng)
            return canvas.image.resize((max(90, width), max(90, height)), Image.Resampling.BILINEAR)
        return plot(max(120, width), max(100, height), rng, self.fonts)

    def _other(self, width: int, height: int, rng: random.Random) -> Image.Image:
        if rng.random() < 0.35:
            return shapes(128, rng).image.resize((width, height), Image.Resampling.BILINEAR)
        return diagram(max(100, width), max(80, height), rng, self.fonts)


def _size(rng: random.Random) -> tuple[int, int]:
    """Width and height of a crop, 80 to 420 pixels; wide ones more often than high ones."""
    longer, ratio = rng.uniform(110, 420), rng.choice((1.0, rng.uniform(0.4, 1.0), rng.uniform(0.4, 1.0)))
    size = round(longer), max(40, round(longer * ratio))
    return size if rng.random() < 0.75 else (size[1], size[0])


def _with_margin(image: Image.Image, rng: random.Random) -> Image.Image:
    edges = [round(rng.uniform(0, 0.12) * max(image.size)) for _ in range(4)]
    wider = Image.new(image.mode, (image.width + edges[0] + edges[2], image.height + edges[1] + edges[3]), "white")
    wider.paste(image, (edges[0], edges[1]))
    return wider


def squared(image: Image.Image, side: int) -> Pixels:
    """An image in the middle of a white square, brought to `side` pixels."""
    whole = max(image.size)
    square = Image.new("RGB", (whole, whole), "white")
    square.paste(image, ((whole - image.width) // 2, (whole - image.height) // 2))
    return np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))


def finished(image: Image.Image, kind: str, rng: random.Random, noise: float) -> Image.Image:
    """The figure as a scan or a screen shot gives it: sometimes in black and white alone, sometimes paper-coloured."""
    if kind != "photo" and rng.random() < 0.25 * noise:
        threshold = rng.uniform(150, 225)
        grey = image.convert("L").point([0 if level < threshold else 255 for level in range(256)])
        return grey.convert("RGB")
    return Image.fromarray(worn(np.asarray(image), rng, noise))


def figures(
    seed: int,
    start: int = 0,
    *,
    side: int = 128,
    noise: float = 1.0,
    fresh: str = "",
    fonts: Sequence[str] = ("",),
    pool: Path | None = None,
    pooled: bool = True,
) -> Iterator[Figure]:
    """Figures number `start` and on, endlessly, every kind as often. fresh: parts held-out ones off."""
    source, index = Figures(fonts, pool, held_out=bool(fresh), pooled=pooled), start
    while True:
        rng = random.Random(f"figure kinds:{fresh}:{seed}:{index}")
        kind = rng.choice(KINDS)
        yield Figure(squared(finished(source.figure(kind, rng), kind, rng, noise), side), kind)
        index += 1
