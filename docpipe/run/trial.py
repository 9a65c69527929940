"""Pages of a sample really converted, by the same workers as a run's, and what they took.

Each worker has a lane of its own: it looks at documents, then works on its pages twice. The first time it loads what
it needs, the second time counts. No reading is taken from the cache, and nothing is kept of what is written.
"""

from __future__ import annotations

import contextlib
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from docpipe.document import Page
from docpipe.errors import DocpipeError
from docpipe.pipeline import Pipeline
from docpipe.run.crew import Limits
from docpipe.run.folder import write_run
from docpipe.run.opening import Look, Opening
from docpipe.run.plan import Costs, Pick
from docpipe.run.pool import Pool
from docpipe.run.processes import Held, held
from docpipe.run.runner import DEADLINE, DocumentRun
from docpipe.run.stopping import StoppedError
from docpipe.source import SourceRef

T = TypeVar("T")

ABREAST = 4
"""Documents that a lane has open at once, as a run has for each worker."""

AGAIN = 30.0
"""Seconds after which a lane begins no more documents a second time: what comes late in it was warm the first time."""


@dataclass(frozen=True)
class Looked:
    """What a first look at a document found: its opening, or why it has none, and the seconds it took."""

    opening: Opening | None
    error: DocpipeError | None
    seconds: float


@dataclass(frozen=True)
class Tried:
    """A page that was worked on. seconds: by stage. size: bytes of what was written of it."""

    page: Page
    seconds: Mapping[str, float]
    size: float


@dataclass(frozen=True)
class TrialSettings:
    """How pages are tried, as in `batch.BatchSettings`. lanes: worker processes. sharing: those of the run that is
    tried for, among which the machine's cores will be shared out.
    """

    lanes: int = 1
    wanted: str | None = None
    formats: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    deadline: float = DEADLINE
    sharing: int = 1


class Trial:
    """Workers in lanes. A context manager; `look`, then `run` as often as there are pipelines."""

    def __init__(self, settings: TrialSettings) -> None:
        self.settings = settings
        lanes = max(1, settings.lanes)
        self._pools = [Pool(1, settings.limits, sharing=max(lanes, settings.sharing)) for _ in range(lanes)]
        self._threads = ThreadPoolExecutor(ABREAST * len(self._pools), "docpipe-trial")
        self._started: list[float] = [0.0] * len(self._pools)
        self._worker_bytes: list[int] = []
        self._lead_bytes: list[int] = []

    def __enter__(self) -> Trial:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in self._pools:  # first: it ends whoever waits for pages
            pool.close()
        self._threads.shutdown(cancel_futures=True)

    def look(self, refs: Sequence[SourceRef]) -> list[Looked]:
        """Take the first look at each document, one at a time in each lane."""
        found: dict[int, Looked] = {}
        waiting = _queued(range(len(refs)))

        def work(lane: int) -> None:
            pool, first = self._pools[lane], True
            for place in _taken(waiting):
                made = self._looked(pool, refs[place])
                if first:  # the worker started meanwhile: what that took is the excess over a second look
                    again = self._looked(pool, refs[place])
                    self._started[lane] = max(0.0, made.seconds - again.seconds)
                    made, first = again, False
                found[place] = made

        self._all(work)
        return [found[place] for place in range(len(refs))]

    def _looked(self, pool: Pool, ref: SourceRef) -> Looked:
        began = time.monotonic()
        try:
            opening = pool.look(Look(ref, self.settings.wanted))
        except DocpipeError as error:
            return Looked(None, error, time.monotonic() - began)
        return Looked(opening, None, time.monotonic() - began)

    def run(
        self, refs: Sequence[SourceRef], looked: Sequence[Looked], picks: Sequence[Pick], pipeline: Pipeline
    ) -> tuple[list[Tried], Costs]:
        """Work on the pages picked, twice; the pages in the order of the picks, and what they cost beside their stages.

        Raises DP206 and DP401 when what is made of them cannot be written.
        """
        lanes = self._shared(picks)
        first = _Round(self, refs, looked, pipeline)
        first.run(lanes)
        second = _Round(self, refs, looked, pipeline, patience=AGAIN)
        second.run(lanes)
        tried = [second.tried.get(key) or first.tried[key] for key in ((p.document, p.page) for p in picks)]
        extra = max(0.0, sum(second.busy) - second.stage_seconds) / max(1, second.openings)
        whole = len(second.tried) == len(first.tried)
        # Workers load side by side, each what its pages need: on the mean, since their work is shared out, too.
        loaded = sum(max(0.0, a - b) for a, b in zip(first.busy, second.busy, strict=True)) if whole else 0.0
        start = (sum(self._started) + loaded) / len(self._pools)
        looks = [one.seconds for one in looked]
        rounds = [second] if whole else [first, second]
        cpu = sum(one.cpu for one in rounds) / max(1e-9, sum(sum(one.busy) for one in rounds))
        lead = second.lead / max(1, len(second.tried))
        workers, leads = max(self._worker_bytes, default=0), max(self._lead_bytes, default=0)
        return tried, Costs(
            start=start, look=sum(looks) / max(1, len(looks)), opening=extra, lead=lead,
            busy_cores=cpu if self._lead_bytes else None,
            worker_gb=workers / 1e9 or None, lead_gb=leads / 1e9 or None,
        )  # fmt: skip

    def _shared(self, picks: Sequence[Pick]) -> list[list[tuple[int, tuple[int, ...]]]]:
        """For each lane the documents and their pages: every so-manieth page, so that documents are spread over all."""
        lanes = []
        for lane in range(len(self._pools)):
            by: dict[int, list[int]] = {}
            for pick in picks[lane :: len(self._pools)]:
                by.setdefault(pick.document, []).append(pick.page)
            lanes.append([(document, tuple(sorted(pages))) for document, pages in by.items()])
        return lanes

    def _all(self, work: Callable[[int], None]) -> None:
        """Run something for each lane at once, and wait. What one raises is raised."""
        for future in [self._threads.submit(work, lane) for lane in range(len(self._pools))]:
            future.result()

    def _pids(self) -> list[int]:
        """The worker processes there are."""
        hands = [hand for pool in self._pools for hand in list(pool.crew.hands)]
        return [hand.process.pid for hand in hands if hand.process.pid is not None]


class _Round:
    """All pages picked, once through a pipeline."""

    def __init__(
        self, trial: Trial, refs: Sequence[SourceRef], looked: Sequence[Looked], pipeline: Pipeline,
        patience: float = float("inf"),
    ) -> None:  # fmt: skip
        self.trial, self.refs, self.looked, self.pipeline, self.patience = trial, refs, looked, pipeline, patience
        self.tried: dict[tuple[int, int], Tried] = {}
        self.busy: list[float] = [0.0] * len(trial._pools)
        self.cpu = 0.0
        self.lead, self.openings = 0.0, 0
        self._guard = threading.Lock()

    @property
    def stage_seconds(self) -> float:
        return sum(sum(one.seconds.values()) for one in self.tried.values())

    def run(self, lanes: Sequence[Sequence[tuple[int, tuple[int, ...]]]]) -> None:
        """Work on each lane's documents; `tried`, `busy`, `cpu` and `lead` are filled in."""
        began = time.monotonic()
        with _watching(self.trial) as watched:
            lead, queues = time.process_time(), [_queued(lane) for lane in lanes]
            futures = [
                self.trial._threads.submit(self._work, lane, waiting, began)
                for lane, waiting in enumerate(queues)
                for _ in range(ABREAST)
            ]
            for future in futures:
                future.result()
            self.lead = time.process_time() - lead
        self.cpu = watched.cpu + self.lead

    def _work(self, lane: int, waiting: queue.SimpleQueue[tuple[int, tuple[int, ...]]], began: float) -> None:
        for document, places in _taken(waiting):
            if time.monotonic() - began > self.patience:
                return
            self._document(lane, document, places, began)

    def _document(self, lane: int, document: int, places: tuple[int, ...], began: float) -> None:
        opening = self.looked[document].opening
        assert opening is not None
        settings = self.trial.settings
        numbers = tuple(opening.wanted[place] for place in places)
        run = DocumentRun(
            self.refs[document], self.pipeline, pool=self.trial._pools[lane], deadline=settings.deadline,
            opening=replace(opening, wanted=numbers, skipped=()),
        )  # fmt: skip
        pages: dict[int, Page] = {}

        def take(page: Page) -> None:
            pages[page.number] = page
            with self._guard:
                self.busy[lane] = max(self.busy[lane], time.monotonic() - began)

        with tempfile.TemporaryDirectory(prefix="docpipe-plan-") as place:
            folder = Path(place)
            pool = self.trial._pools[lane]
            written = write_run(run, folder, formats=settings.formats, watch=take, write=pool.write)
            size = sum((folder / name).stat().st_size for name in written.files)
        seconds = {trace.number: trace.seconds for trace in run.manifest({}).pages}
        with self._guard:
            self.openings += 1
            for where, number in zip(places, numbers, strict=True):
                page = pages[number]
                spent = seconds.get(number) or self._lost(page)
                self.tried[document, where] = Tried(page, spent, size / len(numbers))

    def _lost(self, page: Page) -> dict[str, float]:
        """What a page took whose worker was ended: its deadline, where it was that."""
        late = page.error is not None and page.error.code == "DP502"
        return {"deadline": self.trial.settings.limits.page_seconds} if late else {}


@dataclass
class _Watched:
    """cpu: processor seconds of the workers, and of programs that they started."""

    cpu: float = 0.0


@contextlib.contextmanager
def _watching(trial: Trial, tick: float = 0.1) -> Iterator[_Watched]:
    """Look at the workers while something is done: the processor seconds they used meanwhile, and the memory held."""
    watched, stop = _Watched(), threading.Event()
    before = {pid: one.cpu for pid in trial._pids() if (one := held(pid))}
    last: dict[int, Held] = {}

    def look() -> None:
        with contextlib.suppress(StoppedError):
            while not stop.wait(tick):
                last.update({pid: one for pid in trial._pids() if (one := held(pid))})

    thread = threading.Thread(target=look, name="docpipe-trial-watch", daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        with contextlib.suppress(StoppedError):
            last.update({pid: one for pid in trial._pids() if (one := held(pid))})
        stop.set()
        thread.join()
    trial._worker_bytes += [one.peak for one in last.values()]
    watched.cpu = sum(one.cpu - before.get(pid, 0.0) for pid, one in last.items())
    if (own := held()) is not None:
        trial._lead_bytes.append(own.size)


def _queued(items: Iterable[T]) -> queue.SimpleQueue[T]:
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    return waiting


def _taken(waiting: queue.SimpleQueue[T]) -> Iterator[T]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield waiting.get_nowait()
