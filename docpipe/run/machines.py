"""Machines that a run can be planned for: this one, one described in a file, and the processors of PaliGemma 2's paper.

A description says how many pages can be worked on side by side and how fast, and for models what `docpipe bench` says.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from docpipe.errors import DocpipeError
from docpipe.models.cpu import usable_cores

PAPER = (
    ("Apple M1 Max, 4+1 threads", 1.6, 8.2, 12),
    ("Apple M3 Pro, 7+1", 0.8, 4.4, 22),
    ("AMD Milan, 8+1", 0.82, 4.9, 17),
    ("AMD Milan, 32+1", 0.39, 1.8, 32),
    ("AMD Genoa, 8+1", 0.36, 1.8, 37),
    ("AMD Genoa, 32+1", 0.17, 0.8, 41),
)
"""gemma.cpp on the paper's CPUs, 3B at 224 px: vision s, prefill s (260 tokens), decode tok/s (Steiner et al.,
PaliGemma 2, table 9).
"""

_NAMED = ("apple-m1-max", "apple-m3-pro", "amd-milan-8", "amd-milan-32", "amd-genoa-8", "amd-genoa-32")


class Figures(BaseModel):
    """How fast one model is on a machine, in the words of `docpipe bench --json`.

    vision_s, prefill_s: seconds for `batch` crops together. decode_tok_s: tokens a second, those of all `batch`
    answers. units: how many such engines the machine runs side by side. threads: processor threads that one keeps busy.
    overlaps: it has a device of its own, so that pages are worked on meanwhile. peak_rss_gb: 10^9 bytes of memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vision_s: float = Field(ge=0)
    prefill_s: float = Field(ge=0)
    decode_tok_s: float = Field(gt=0)
    batch: int = Field(default=1, ge=1)
    units: int = Field(default=1, ge=1)
    threads: int = Field(default=0, ge=0)
    overlaps: bool = False
    peak_rss_gb: float = Field(default=0.0, ge=0)

    def seconds(self, crops: float, tokens: float) -> float:
        """Seconds that one unit takes for so many crops whose answers have so many tokens together."""
        return crops * (self.vision_s + self.prefill_s) / self.batch + tokens / self.decode_tok_s


class Machine(BaseModel):
    """A machine. cores: pages that can be worked on side by side. speed: of one of its cores, this machine's being 1.

    memory_gb: 10^9 bytes. price_per_hour: in whatever currency. models: figures by shape, as "paligemma2-3b-448".
    here: whether it is this machine, so that what runs here need not be predicted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    cores: int = Field(ge=1)
    speed: float = Field(default=1.0, gt=0)
    memory_gb: float | None = Field(default=None, gt=0)
    price_per_hour: float | None = Field(default=None, ge=0)
    source: str = ""
    models: dict[str, Figures] = {}
    here: bool = False


def this_machine(models: Mapping[str, Figures] | None = None) -> Machine:
    """The machine that this process runs on, with figures of models where there are any."""
    from docpipe.run.machine import cpu_facts, memory_of_machine

    facts, memory = cpu_facts(), memory_of_machine()
    name = str(facts.get("model") or facts["machine"])
    size = memory / 1e9 if memory else None
    return Machine(name=name, cores=usable_cores(), memory_gb=size, models=dict(models or {}), here=True)


def shipped_machines() -> dict[str, Machine]:
    """The described machines that docpipe knows. How fast a core of theirs reads PDFs nobody has published: as here."""
    made = {}
    for short, (name, vision, prefill, rate) in zip(_NAMED, PAPER, strict=True):
        threads = int(name.partition("+")[0].rpartition(" ")[2])
        figures = Figures(vision_s=vision, prefill_s=prefill, decode_tok_s=rate, threads=threads)
        made[short] = Machine(
            name=name, cores=threads, models={"paligemma2-3b-224": figures},
            source="the PaliGemma 2 paper, table 9 (gemma.cpp); a core's speed at other work is taken to be this one's",
        )  # fmt: skip
    return made


def find_machine(where: str | Path) -> Machine:
    """A machine by the name of one that is known, or from a TOML or JSON file: a description, or what `docpipe bench
    --json` printed on this machine.

    Raises DP533 when there is none of that name, or the file is neither.
    """
    known, path = shipped_machines(), Path(where)
    if str(where) in known:
        return known[str(where)]
    if path.suffix not in {".toml", ".json"}:
        raise DocpipeError("DP533", str(where), "known are " + ", ".join(known))
    try:
        text = path.read_text("utf-8")
        said = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        if not isinstance(said, dict):
            raise ValueError("a table of keys and values is expected")
        return this_machine(_benched(said)) if "prefill_tokens" in said else Machine.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DocpipeError("DP533", str(path), f"{place}: {first['msg']}") from error
    except (OSError, ValueError, KeyError) as error:
        raise DocpipeError("DP533", str(path), str(error)) from error


def _benched(said: dict[str, Any]) -> dict[str, Figures]:
    """What `docpipe bench --json` says, as figures of the shape (or checkpoint) that it measured."""
    taken = {name: said[name] for name in ("vision_s", "prefill_s", "decode_tok_s")}
    more = {name: said[name] for name in ("batch", "threads", "peak_rss_gb") if said.get(name) is not None}
    return {str(said.get("shape") or said.get("model")): Figures.model_validate(taken | more)}
