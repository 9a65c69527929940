"""Questions with short answers, and statements that are true or false, about a scene.

A question that takes for granted what is not there has no answer: neither has one that several things would answer.
"""

from __future__ import annotations

import random

from docpipe.train.synth.scene.canvas import Thing
from docpipe.train.synth.scene.charts import Chart
from docpipe.train.synth.scene.colours import COLOURS
from docpipe.train.synth.scene.exchange import Exchange, Point
from docpipe.train.synth.scene.outlines import OUTLINES
from docpipe.train.synth.scene.pages import PageLook
from docpipe.train.synth.scene.words import PLURALS, article, clear, zone
from docpipe.train.synth.scenes import Scene

APART = 0.1
"""Two things lie left and right of, or above and below each other when their middles are so far apart, of the side."""

Answer = tuple[str, str, Point] | None


def question(scene: Scene, rng: random.Random) -> Exchange:
    """A question and its answer; an empty answer where there is none to give."""
    for _ in range(20):
        if isinstance(scene.look, Chart):
            found = _of_chart(scene, scene.look, rng)
        elif isinstance(scene.look, PageLook):
            found = _of_page(scene, scene.look, rng)
        else:
            found = _of_shapes(scene, rng)
        if found is not None:
            asked, answer, point = found
            pieces = ((f" {answer}", point),) if answer else ()
            return Exchange("question", f"answer en {asked}?", pieces)
    return Exchange("question", "answer en how many things are there?", ((f" {len(scene.things)}", None),))


def _word(rng: random.Random, *words: str) -> str:
    return rng.choice(words)


def refer(thing: Thing, things: tuple[Thing, ...], rng: random.Random) -> str | None:
    """How to speak of one thing so that no other is meant; None when that cannot be done."""
    if sum(t.name == thing.name for t in things) == 1 and rng.random() < 0.6:
        return thing.name
    return thing.label if sum(t.label == thing.label for t in things) == 1 else None


def _absent(scene: Scene, rng: random.Random) -> str:
    """Something that is not there: another name, or a name that is there in another colour."""
    names, labels = {t.name for t in scene.things}, {t.label for t in scene.things}
    if rng.random() < 0.5:
        return rng.choice([name for name in OUTLINES if name not in names])
    name = rng.choice(sorted(names)) if names and rng.random() < 0.6 else rng.choice(tuple(OUTLINES))
    return rng.choice([f"{colour} {name}" for colour in COLOURS if f"{colour} {name}" not in labels])


def _of_shapes(scene: Scene, rng: random.Random) -> Answer:
    things, side = scene.things, len(scene.pixels)
    thing = rng.choice(things)
    kind = rng.choice(("colour", "colour", "shape", "many", "many", "there", "there", "where", "where", "beside",
                       "largest", "size"))  # fmt: skip
    if kind == "colour":
        name = thing.name
        if rng.random() < 0.12:
            name = rng.choice([other for other in OUTLINES if other not in {t.name for t in things}])
        colours = {t.colour for t in things if t.name == name}
        asked = f"what {_word(rng, 'colour', 'colour', 'color')} is the {name}"
        return asked, colours.pop() if len(colours) == 1 else "", thing.center if name == thing.name else None
    if kind == "shape":
        colour = thing.colour if rng.random() < 0.9 else rng.choice(COLOURS)
        names = [t for t in things if t.colour == colour]
        asked = _word(rng, f"what shape is the {colour} thing", f"what is the {colour} {_word(rng, 'thing', 'object')}")
        return asked, names[0].name if len(names) == 1 else "", names[0].center if names else None
    if kind == "many":
        return _count(things, thing, rng)
    if kind == "there":
        there = rng.random() < 0.5
        label = rng.choice((thing.name, thing.label)) if there else _absent(scene, rng)
        where = _word(rng, "", "", " in the image", " in the picture")
        return f"is there {article(label)}{where}", "yes" if there else "no", thing.center if there else None
    if kind == "where":
        if rng.random() < 0.08:
            return f"where is the {_absent(scene, rng)}", "", None
        named = refer(thing, things, rng)
        return (f"where is the {named}", zone(thing, side), thing.center) if named and clear(thing, side) else None
    if kind == "beside":
        return _beside(scene, thing, rng)
    if kind == "size":
        named = refer(thing, things, rng)
        return (f"is the {named} large or small", thing.size, thing.center) if named and thing.size else None
    return _extreme(things, rng)


def _count(things: tuple[Thing, ...], thing: Thing, rng: random.Random) -> Answer:
    kind = rng.random()
    if kind < 0.35:
        what = _word(rng, "things", "objects")
        return f"how many {what} are there", str(len(things)), None
    if kind < 0.7:
        name = thing.name if rng.random() < 0.75 else rng.choice(tuple(OUTLINES))
        found = [t for t in things if t.name == name]
        return f"how many {PLURALS[name]} are there", str(len(found)), found[0].center if found else None
    colour = thing.colour if rng.random() < 0.75 else rng.choice(COLOURS)
    found = [t for t in things if t.colour == colour]
    what = _word(rng, "things", "objects")
    return f"how many {colour} {what} are there", str(len(found)), found[0].center if found else None


_SIDES = {"left of": (0, -1), "right of": (0, 1), "above": (1, -1), "below": (1, 1)}


def _beside(scene: Scene, thing: Thing, rng: random.Random) -> Answer:
    """The only thing on one side of another; no answer where there are several or none."""
    relation = rng.choice(tuple(_SIDES))
    axis, sign = _SIDES[relation]
    named, side = refer(thing, scene.things, rng), len(scene.pixels)
    steps = [(sign * (t.center[axis] - thing.center[axis]) / side, t) for t in scene.things if t is not thing]
    if named is None or any(0 < step < APART for step, _ in steps):
        return None
    beyond = [t for step, t in steps if step > 0]
    if len(beyond) != 1 and rng.random() < 0.8:
        return None
    to = "to the " if axis == 0 and rng.random() < 0.4 else ""
    only = beyond[0] if len(beyond) == 1 else None
    return f"what is {to}{relation} the {named}", only.label if only else "", only.center if only else None


def _extreme(things: tuple[Thing, ...], rng: random.Random) -> Answer:
    if len(things) < 2:
        return None
    ordered = sorted(things, key=lambda t: t.whole)
    largest = rng.random() < 0.5
    best, next_best = (ordered[-1], ordered[-2]) if largest else (ordered[0], ordered[1])
    if max(best.whole, next_best.whole) < 1.4 * min(best.whole, next_best.whole):
        return None
    word = _word(rng, "largest", "biggest") if largest else "smallest"
    return f"what is the {word} {_word(rng, 'thing', 'object')}", best.label, best.center


_PARTS = {
    "bar": ("bar", "tallest", "shortest"),
    "line": ("line", "", ""),
    "pie": ("slice", "largest", "smallest"),
}


def _of_chart(scene: Scene, look: Chart, rng: random.Random) -> Answer:
    part, most, least = _PARTS[look.kind]
    kind = rng.choice(("what", "many", "extreme", "extreme", "there", "line"))
    centers = {t.colour: t.center for t in scene.things}
    if kind == "what":
        return f"what kind of chart is {_word(rng, 'this', 'it')}", look.kind, None
    if kind == "many":
        other = rng.random() < 0.15
        name = rng.choice(("bar", "line", "slice")) if other else part
        return f"how many {name}s are there", str(len(look.colours) if name == part else 0), None
    if kind == "there":
        colour = rng.choice(look.colours) if rng.random() < 0.5 else rng.choice(COLOURS)
        there = colour in look.colours
        return f"is there {article(f'{colour} {part}')}", "yes" if there else "no", centers.get(colour)
    if look.kind == "line":
        colour, value = rng.choice(list(zip(look.colours, look.values, strict=True)))
        if kind == "line" and len(look.colours) == 1:
            return f"what {_word(rng, 'colour', 'color')} is the line", colour, centers.get(colour)
        named = "line" if len(look.colours) == 1 and rng.random() < 0.7 else f"{colour} line"
        return f"does the {named} go up or down", "up" if value > 0 else "down", centers.get(colour)
    if len(set(look.colours)) == 1:
        if kind == "line":
            return f"what {_word(rng, 'colour', 'color')} are the {part}s", look.colours[0], None
        return None
    highest = rng.random() < 0.5
    best = look.values.index(max(look.values) if highest else min(look.values))
    colour = look.colours[best]
    return f"what {_word(rng, 'colour', 'color')} is the {most if highest else least} {part}", colour, centers[colour]


def _of_page(scene: Scene, look: PageLook, rng: random.Random) -> Answer:
    kind = rng.choice(("columns", "there", "there", "where"))
    if kind == "columns":
        return "how many columns are there", str(look.columns), None
    name = rng.choice(("title", "picture", "table"))
    found = next((t for t in scene.things if t.name == name), None)
    if kind == "there":
        where = _word(rng, "", " on the page")
        return f"is there a {name}{where}", "yes" if found else "no", found.center if found else None
    if found is None:
        return (f"where is the {name}", "", None) if rng.random() < 0.3 else None
    side = len(scene.pixels)
    return (f"where is the {name}", zone(found, side), found.center) if clear(found, side) else None


def statement(scene: Scene, rng: random.Random) -> Exchange | None:
    """A statement about where two things lie, or which is larger; half of them are true. None for fewer than two."""
    side, things = len(scene.pixels), scene.things
    for _ in range(20):
        if len(things) < 2 or scene.kind == "chart":
            return None
        first, second = rng.sample(things, 2)
        names = refer(first, things, rng), refer(second, things, rng)
        if None in names:
            continue
        relation = rng.choice((*_SIDES, "larger than", "smaller than") if scene.kind == "shapes" else tuple(_SIDES))
        if relation in _SIDES:
            axis, sign = _SIDES[relation]
            step = sign * (first.center[axis] - second.center[axis]) / side
            if abs(step) < APART:
                continue
            said = "to the " + relation if axis == 0 and rng.random() < 0.4 else relation
        else:
            step = (first.whole - second.whole) * (1 if relation == "larger than" else -1)
            if max(first.whole, second.whole) < 1.4 * min(first.whole, second.whole):
                continue
            said = relation
        stop = _word(rng, "", ".")
        prompt = f"answer en the {names[0]} is {said} the {names[1]}{stop} true or false?"
        # The one of which it is true comes first: that is in the picture, and whether it was named first in the prompt.
        # Each is learnt in minutes; to say at once what both together mean was not learnt in hours.
        verdict, meant, name = (" True", first, names[0]) if step > 0 else (" False", second, names[1])
        return Exchange("spatial", prompt, ((f" {name}", meant.center), (verdict, None)))
    return None
