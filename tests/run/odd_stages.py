"""Stages that go wrong on chosen pages, for pipelines in tests: named in pipeline files as "odd_stages:…"."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

from docpipe.document import Origin, Reading, Region, TextContent
from docpipe.export import FORMATS
from docpipe.export.json import Pages
from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page


def crashing(*, pages: list[int]) -> Stage:
    """Kill the process, as a native library's fault does."""

    def work(sheet: Sheet) -> Sheet:
        if sheet.page.number in pages:
            os.kill(os.getpid(), signal.SIGSEGV)
        return sheet

    return per_page("crashing", work)


def hanging(*, pages: list[int]) -> Stage:
    """Never come back."""

    def work(sheet: Sheet) -> Sheet:
        while sheet.page.number in pages:
            time.sleep(60)
        return sheet

    return per_page("hanging", work)


def hungry(*, pages: list[int]) -> Stage:
    """Ask for more memory than any limit allows."""

    def work(sheet: Sheet) -> Sheet:
        if sheet.page.number in pages:
            bytearray(64 << 30)
        return sheet

    return per_page("hungry", work)


def raising(*, pages: list[int]) -> Stage:
    """Fail with an ordinary exception."""

    def work(sheet: Sheet) -> Sheet:
        if sheet.page.number in pages:
            raise KeyError("something nobody thought of")
        return sheet

    return per_page("raising", work)


def unwritable(*, pages: list[int]) -> Stage:
    """Read half a surrogate pair, which no encoding can write."""

    def work(sheet: Sheet) -> Sheet:
        if sheet.page.number not in pages:
            return sheet
        content = TextContent.model_construct(text="\ud800", words=())
        reading = Reading.model_construct(content=content, origin=Origin(engine="odd"))
        region = Region(id=f"p{sheet.page.number}.r1", kind="other", box=sheet.source.box)
        return sheet.with_regions([region.model_copy(update={"reading": reading})])

    return per_page("unwritable", work)


def exporting_badly(*, form: str, hangs: bool = False) -> Stage:
    """Make an export of this process crash, or never end: as a native library may, once the pages are read."""

    def write(document: Pages, *_: object) -> list[Path]:
        for _ in document.pages:
            while hangs:
                time.sleep(60)
        os.kill(os.getpid(), signal.SIGSEGV)
        return []

    sys.modules["docpipe.export.odd"] = odd = ModuleType("docpipe.export.odd")
    odd.write = write  # type: ignore[attr-defined]
    FORMATS[form] = "odd"
    return per_page("exporting_badly", lambda sheet: sheet)


def windowed(*, size: int = 4) -> Stage:
    """Hold several pages open at once, as a stage that batches does."""

    def run(sheets):
        held = []
        for sheet in sheets:
            held.append(sheet)
            if len(held) == size:
                yield from held
                held = []
        yield from held

    return run


def marking(*, kind: str = "other") -> Stage:
    """One region a page."""

    def work(sheet: Sheet) -> Sheet:
        region = Region(id=f"p{sheet.page.number}.r1", kind=kind, box=sheet.source.box)  # type: ignore[arg-type]
        return sheet.with_regions([region])

    return per_page("marking", work)


def slow_to_make(*, seconds: float) -> Stage:
    """Take long before any page is opened, as loading a model does."""
    time.sleep(seconds)
    return per_page("slow_to_make", lambda sheet: sheet)


def sleeping(*, seconds: float) -> Stage:
    """Take a while for each page."""

    def work(sheet: Sheet) -> Sheet:
        time.sleep(seconds)
        return sheet

    return per_page("sleeping", work)


def starting(*, pages: list[int], note: str) -> Stage:
    """Start a program that does not end, and wait for it."""

    def work(sheet: Sheet) -> Sheet:
        if sheet.page.number in pages:
            with subprocess.Popen(["sleep", "600"]) as process:
                Path(note).write_text(str(process.pid))
        return sheet

    return per_page("starting", work)


def busy(*, pages: list[int]) -> Stage:
    """Use the processor without end."""

    def work(sheet: Sheet) -> Sheet:
        while sheet.page.number in pages:
            pass
        return sheet

    return per_page("busy", work)


def leaking(*, bytes_a_page: int) -> Stage:
    """Keep memory that nobody can ask back, as native libraries do."""
    held: list[bytes] = []

    def work(sheet: Sheet) -> Sheet:
        held.append(b"x" * bytes_a_page)
        return sheet

    return per_page("leaking", work)


def counting(*, folder: str, size: int) -> Stage:
    """Gather pages as a batch does; leave a file for each batch that names its pages."""

    def run(sheets):
        held = []
        for sheet in sheets:
            held.append(sheet)
            if len(held) == size:
                _note(folder, held)
                yield from held
                held = []
        if held:
            _note(folder, held)
        yield from held

    return run


def naming_threads(*, note: str) -> Stage:
    """Write down how many threads this process's libraries use: PyTorch, sessions of onnxruntime (new ones, and those
    that there are), and what the environment says.
    """

    def work(sheet: Sheet) -> Sheet:
        import onnxruntime
        import torch

        sessions = [one for one in gc.get_objects() if isinstance(one, onnxruntime.InferenceSession)]
        torch.rand(600, 600) @ torch.rand(600, 600)
        told = {
            "torch": torch.get_num_threads(),
            "new session": onnxruntime.SessionOptions().intra_op_num_threads,
            "sessions": sorted({one.get_session_options().intra_op_num_threads for one in sessions}),
            "environment": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")},
        }
        Path(note).write_text(json.dumps(told))
        return sheet

    return per_page("naming_threads", work)


def _note(folder, held):
    names = " ".join(f"{sheet.ref.name}:{sheet.page.number}" for sheet in held)
    Path(folder, f"{time.monotonic_ns()}-{os.getpid()}").write_text(names)
