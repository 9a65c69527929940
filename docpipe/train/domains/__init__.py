"""The tasks that nano learns, each as the trainer sees it (docpipe.train.sample.Domain).

`domain(name, **options)` finds a built-in one by name, or any class by "package.module:Class".
"""

from __future__ import annotations

import importlib
from typing import Any

from docpipe.train.sample import Domain

BUILT_IN = {
    "molecules": "docpipe.train.domains.molecules:Molecules",
    "scenes": "docpipe.train.domains.scenes:Scenes",
    "scores": "docpipe.train.domains.scores:Scores",
    "tables": "docpipe.train.domains.tables:Tables",
    "text": "docpipe.train.domains.text:TextLines",
}


def domain(name: str, **options: Any) -> Domain:
    """The domain of that name, made with the options of its recipe. Raises ValueError when there is none."""
    place = BUILT_IN.get(name, name)
    module, _, attribute = place.partition(":")
    if not attribute:
        raise ValueError(f"no such domain: {name}; there are {', '.join(sorted(BUILT_IN))}, or package.module:Class")
    made: Domain = getattr(importlib.import_module(module), attribute)(**options)
    return made
