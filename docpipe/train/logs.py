"""What a run tells: log.jsonl always, TensorBoard's events when it is installed, a progress bar on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any


class Means:
    """Running means of the losses, each new value counting for a thirtieth."""

    def __init__(self) -> None:
        self._now: dict[str, float] = {}

    def add(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._now[name] = value if name not in self._now else self._now[name] + (value - self._now[name]) / 30

    def values(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in self._now.items()}


class Log:
    """A run's log: one JSON object a line, and the numbers of each line that has a step as TensorBoard scalars.

    quiet: write nothing, as all processes of a run but the first do.
    """

    def __init__(self, folder: Path, *, quiet: bool = False) -> None:
        self.path, self.quiet = folder / "log.jsonl", quiet
        self._board: Any = None
        if not quiet and find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"))

    def write(self, values: Mapping[str, Any]) -> None:
        """Append a line; numbers are rounded to four places."""
        if self.quiet:
            return
        with self.path.open("a") as file:
            file.write(json.dumps(_rounded(dict(values))) + "\n")
        if self._board is not None and "step" in values:
            for name, value in _scalars(values):
                self._board.add_scalar(name, value, values["step"])
            self._board.flush()

    def close(self) -> None:
        if self._board is not None:
            self._board.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; a last line that a kill cut short is left out."""
    found = []
    path = folder / "log.jsonl"
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _scalars(values: Mapping[str, Any], above: str = "") -> list[tuple[str, float]]:
    made: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            made += _scalars(value, f"{above}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and name not in ("step", "time", "pid"):
            made.append((above + name, float(value)))
    return made


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


class Progress:
    """A bar with losses, steps a second and the time left; nothing where standard error is no terminal.

    last: the step at which the run ends, 0 when it never does.
    """

    def __init__(self, name: str, step: int, last: int, *, quiet: bool = False) -> None:
        self._bar: Any = None
        self._shown = 0.0
        if quiet or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[said]}"))  # fmt: skip
        self._bar = Progress(*columns, console=Console(stderr=True), refresh_per_second=2)
        self._task = self._bar.add_task(name, total=last or None, completed=step, said="")
        self._bar.start()

    def show(self, step: int, losses: Mapping[str, float]) -> None:
        """Set the bar; at most twice a second."""
        if self._bar is not None and time.monotonic() - self._shown > 0.5:
            said = " ".join(f"{name} {value:.3f}" for name, value in list(losses.items())[:2])
            self._bar.update(self._task, completed=step, said=said)
            self._shown = time.monotonic()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
