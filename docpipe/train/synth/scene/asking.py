"""What can be asked of a scene, and the true answers: captions of three lengths, questions, boxes, masks."""

from __future__ import annotations

import random
from collections.abc import Callable

from docpipe.train.mask_codes import Codebook
from docpipe.train.synth.scene.canvas import Thing
from docpipe.train.synth.scene.charts import Chart
from docpipe.train.synth.scene.colours import COLOURS
from docpipe.train.synth.scene.exchange import Exchange, Point, mask_tokens, place_tokens, snapped
from docpipe.train.synth.scene.outlines import OUTLINES
from docpipe.train.synth.scene.pages import PageLook
from docpipe.train.synth.scene.questions import question, statement
from docpipe.train.synth.scene.words import LOCATIONS, article, listed, zone
from docpipe.train.synth.scenes import Scene

ANSWERED = ("short-caption", "caption", "describe", "question", "spatial", "detect", "segment", "grounded-caption")
"""Tasks that are asked of scenes, by their docpipe names."""

_SHARES = {
    "short-caption": 0.06,
    "caption": 0.1,
    "describe": 0.08,
    "question": 0.25,
    "spatial": 0.35,
    "detect": 0.15,
    "segment": 0.14,
    "grounded-caption": 0.08,
}

Piece = tuple[str, Point]


def ask(scene: Scene, rng: random.Random, book: Codebook, task: str = "") -> Exchange:
    """One exchange about a scene, of the task named or of one drawn at random."""
    task = task or rng.choices(ANSWERED, [_SHARES[name] for name in ANSWERED])[0]
    if task == "question":
        return question(scene, rng)
    if task == "spatial":
        return statement(scene, rng) or question(scene, rng)
    if task == "detect":
        return _detect(scene, rng)
    if task == "segment":
        return _segment(scene, rng, book)
    if task == "grounded-caption":
        return _grounded(scene, rng) or _detect(scene, rng)
    prompts: dict[str, tuple[str, Callable[[Scene], list[Piece]]]] = {
        "short-caption": ("cap en", short_caption),
        "caption": ("caption en", caption),
        "describe": ("describe en", description),
    }
    prompt, say = prompts[task]
    return Exchange(task, prompt, tuple(say(scene)))


# --- captions ----------------------------------------------------------------------------------------------------


def short_caption(scene: Scene) -> list[Piece]:
    """The things from left to right, nothing else; "bar chart", "page"."""
    if isinstance(scene.look, Chart):
        return [(f" {scene.look.kind} chart", None)]
    if isinstance(scene.look, PageLook):
        return [(" page", None)]
    said: list[Piece] = []
    for thing in scene.things:
        said += [(",", thing.center)] if said else []
        said.append((f" {thing.label}", thing.center))
    return said


def caption(scene: Scene) -> list[Piece]:
    """A sentence: of two things how they lie, of more what they are from left to right."""
    if isinstance(scene.look, Chart):
        return _chart_sentence(scene, scene.look)
    if isinstance(scene.look, PageLook):
        return _page_sentence(scene.look)
    things = scene.things
    said: list[Piece] = []
    for i, thing in enumerate(things):
        if i:
            between = "," if i < len(things) - 1 else " and"
            said.append((_relation(things[0], thing) if len(things) == 2 else between, thing.center))
        said.append((f" {article(thing.label)}", thing.center))
    return [*said, (".", None)]


def _relation(first: Thing, second: Thing) -> str:
    (x0, y0), (x1, y1) = first.center, second.center
    if abs(x0 - x1) >= abs(y0 - y1):
        return " left of"
    return " above" if y0 < y1 else " below"


def description(scene: Scene) -> list[Piece]:
    """Several sentences: how many things, then of each its size and place; what a chart shows; a page's parts."""
    look = scene.look
    if isinstance(look, Chart):
        return [*_chart_sentence(scene, look), *_chart_details(scene, look)]
    if isinstance(look, PageLook):
        said = _page_sentence(look)
        for name in look.parts:
            thing = next(t for t in scene.things if t.name == name)
            said.append((f" the {name} is at the {zone(thing, len(scene.pixels))}.", thing.center))
        return said
    count = len(scene.things)
    said = [(f" there are {count} things." if count > 1 else " there is 1 thing.", None)]
    for thing in scene.things:
        size = f" {thing.size} and" if thing.size else ""
        where = zone(thing, len(scene.pixels))
        said.append((f" the {thing.label} is{size} {'in' if where == 'centre' else 'at'} the {where}.", thing.center))
    return said


def _chart_sentence(scene: Scene, look: Chart) -> list[Piece]:
    part = {"bar": "bar", "line": "line", "pie": "slice"}[look.kind]
    count = len(look.colours)
    first = scene.things[0].center if scene.things else None
    return [(f" a {look.kind} chart with", None), (f" {count} {part}{'s' if count > 1 else ''}.", first)]


def _chart_details(scene: Scene, look: Chart) -> list[Piece]:
    by_colour = {t.colour: t.center for t in scene.things}
    if look.kind == "line":
        return [
            (f" the {colour} line goes {'up' if value > 0 else 'down'}.", by_colour.get(colour))
            for colour, value in zip(look.colours, look.values, strict=True)
        ]
    part, most = ("bar", "tallest") if look.kind == "bar" else ("slice", "largest")
    best = look.values.index(max(look.values))
    if len(set(look.colours)) == 1:
        return [(f" all {part}s are {look.colours[0]}.", None), (f" the {most} is number {best + 1}.", None)]
    said: list[Piece] = [(f" the {part}s are", None)]
    for i, colour in enumerate(look.colours):
        between = "" if not i else "," if i < len(look.colours) - 1 else " and"
        said.append((f"{between} {colour}", by_colour.get(colour)))
    top = look.colours[best]
    return [*said, (".", None), (f" the {most} {part} is {top}.", by_colour.get(top))]


def _page_sentence(look: PageLook) -> list[Piece]:
    columns = "1 column" if look.columns == 1 else f"{look.columns} columns"
    return [(f" a page with {listed([columns, *(article(part) for part in look.parts)])}.", None)]


# --- boxes and masks ---------------------------------------------------------------------------------------------

_ABSENT = {"shapes": tuple(OUTLINES), "chart": ("bar", "line", "slice"), "page": ("title", "picture", "table")}


def _label(scene: Scene, rng: random.Random) -> str:
    """Something to look for: mostly there, sometimes not."""
    if rng.random() < 0.12 or not scene.things:
        name = rng.choice(_ABSENT[scene.kind])
        return name if rng.random() < 0.5 or scene.kind == "page" else f"{rng.choice(COLOURS)} {name}"
    thing = rng.choice(scene.things)
    return thing.label if rng.random() < 0.45 else thing.name


def matching(scene: Scene, label: str) -> list[Thing]:
    """The things of that name, or of that colour and name, from left to right."""
    return [t for t in scene.things if label in (t.name, t.label)]


def _detect(scene: Scene, rng: random.Random) -> Exchange:
    labels = [_label(scene, rng)]
    if rng.random() < 0.35:
        other = _label(scene, rng)
        if not {id(t) for t in matching(scene, other)} & {id(t) for t in matching(scene, labels[0])}:
            labels.append(other)
    said: list[Piece] = []
    for label in dict.fromkeys(labels):
        for thing in matching(scene, label):
            said += [(" ; ", None)] if said else []
            said += [*place_tokens(thing, len(scene.pixels)), (f" {label}", thing.center)]
    return Exchange("detect", "detect " + " ; ".join(dict.fromkeys(labels)), tuple(said))


def _segment(scene: Scene, rng: random.Random, book: Codebook) -> Exchange:
    label, side = _label(scene, rng), len(scene.pixels)
    said: list[Piece] = []
    found = matching(scene, label)[:3]
    for thing in found:
        said += [(" ; ", None)] if said else []
        said += [*place_tokens(thing, side), *mask_tokens(thing, side, book), (f" {label}", thing.center)]
    return Exchange("segment", f"segment {label}", tuple(said), tuple(t.mask for t in found))


def _grounded(scene: Scene, rng: random.Random) -> Exchange | None:
    """The caption of a box; as people draw boxes, it is a step too large or small at times."""
    if not scene.things:
        return None
    thing = rng.choice(scene.things)
    x0, y0, x1, y1 = snapped(thing.box, len(scene.pixels))
    steps = [min(31, max(0, step + rng.choice((0, 0, -1, 1)))) for step in (y0, x0, y1, x1)]
    if steps[0] >= steps[2] or steps[1] >= steps[3]:
        steps = [y0, x0, y1, x1]
    prompt = "caption " + "".join(LOCATIONS[step] for step in steps)
    return Exchange("grounded-caption", prompt, ((f" {article(thing.label)}", thing.center),))
