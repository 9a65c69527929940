"""Boxes in Pascal VOC's XML."""

from __future__ import annotations

from pathlib import Path

from docpipe.document import Box
from docpipe.errors import DocpipeError
from docpipe.evaluate.cases import Case
from docpipe.metrics.ap import Scored
from docpipe.notation.tokens import Found, write_objects


def voc_case(name: str, image: Path, xml: str, where: str) -> Case:
    """A detection case: the things of the image are asked for by their labels, `a ; b`, in the order of the file.

    Everingham et al., The Pascal Visual Object Classes Challenge (IJCV 2010); corners in pixels. Raises DP631.
    """
    from lxml import etree

    try:
        root = etree.fromstring(xml.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
        size = [float(root.findtext(f"size/{side}") or "") for side in ("width", "height")]
        things = []
        for one in root.iter("object"):
            x0, y0, x1, y1 = (float(one.findtext(f"bndbox/{key}") or "") for key in ("xmin", "ymin", "xmax", "ymax"))
            box = Box(x0 / size[0], y0 / size[1], x1 / size[0], y1 / size[1])
            things.append(Scored((one.findtext("name") or "").strip(), box))
    except (etree.XMLSyntaxError, ValueError, ZeroDivisionError) as error:
        raise DocpipeError("DP631", where, f"no Pascal VOC annotation: {error}") from error
    truth = write_objects([Found(thing.label, thing.box) for thing in things])
    labels = " ; ".join(dict.fromkeys(thing.label for thing in things))
    return Case(name, image, (truth,), {"things": labels}, things=tuple(things))
