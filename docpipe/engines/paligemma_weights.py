"""The weights that a PaliGemma engine holds: how they are computed, which are shared, and whether memory lets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docpipe.errors import DocpipeError
from docpipe.models import registry
from docpipe.models.arithmetic import choice_for
from docpipe.models.load import network_config, read_json
from docpipe.models.memory import OWN, most_at_once, predicted
from docpipe.models.quantize import Choice, Mode, choose
from docpipe.models.quantized import HEADER, KEPT
from docpipe.resources import cache_folder

if TYPE_CHECKING:
    from docpipe.engines.paligemma_job import Job
    from docpipe.models.adapters import Adapter
    from docpipe.models.network import Network, NetworkConfig
    from docpipe.models.registry import Checkpoint


@dataclass
class Weights:
    """Networks by folder. names: the checkpoints that the engine may be asked to load, for which a base is shared.

    memory: bytes that the engine may take, by prediction; None: as it comes. batch, candidates: of the engine.
    """

    names: frozenset[str]
    revision: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    quantize: str = "auto"
    memory: int | None = None
    batch: int = 8
    candidates: int = 1
    bases: dict[Path, Network] = field(default_factory=dict)
    held: dict[tuple[Path, Path | None], int] = field(default_factory=dict)

    def choice(self, folder: Path) -> Choice:
        """How a checkpoint is computed. Raises DP302 for one that is damaged, DP313 as `arithmetic.choice_for`."""
        if (folder / HEADER).is_file():
            if self.device != "cpu":
                raise DocpipeError("DP313", folder.name, f"its layers are made for the CPU, device is {self.device}")
            return choose(str(read_json(folder / HEADER).get("mode")))
        return choice_for(network_config(folder), self.quantize, self.dtype, self.device)

    def network(self, folder: Path, adapter: Adapter | None = None) -> Network:
        """The network of a folder. An adapter is merged into a base that serves it alone, else it shares the base.

        Raises DP302, DP310, DP311 and DP313.
        """
        from docpipe.models.adapters import adapted
        from docpipe.models.load import load_network
        from docpipe.models.quantized import load

        choice = self.choice(folder)

        def made(adapter: Adapter | None = None) -> Network:
            if choice.mode == "none":
                return load_network(folder, self.dtype, self.device, adapter)
            return load(folder, choice.mode, keep=cache_folder() / KEPT, adapter=adapter)[0]

        if adapter is not None and self._merges(folder, adapter, choice):
            return made(adapter)
        if folder not in self.bases:
            self.bases[folder] = made()
        return self.bases[folder] if adapter is None else adapted(self.bases[folder], adapter)

    def count(self, found: Checkpoint, config: NetworkConfig, choice: Choice, adapter: Adapter | None = None) -> None:
        """Take a located checkpoint into the account of memory, a shared base once. Raises DP341 beyond the budget."""
        if self.memory is None:
            return
        folder = found.folder
        assert folder is not None
        key = (folder, adapter.folder if adapter is not None and self._merges(folder, adapter, choice) else None)
        if key in self.held:
            return
        weights = predicted(config, dtype=self.dtype, mode=choice.mode).weights
        if sum(self.held.values()) + weights + OWN > self.memory:
            raise self._too_large(found.name, config, choice.mode, sum(self.held.values()))
        self.held[key] = weights

    def at_once(self, jobs: Sequence[Job]) -> int:
        """How many of these jobs, of one checkpoint, are run together: `batch`, fewer where memory wants it.

        Raises DP341 when it does not let even one be run.
        """
        if self.memory is None:
            return self.batch
        loaded, longest = jobs[0].loaded, max(len(job.tokens) for job in jobs)
        limit = max(job.limit for job in jobs)
        shape: dict[str, Any] = {"prompt": longest, "tokens": limit, "beams": self.candidates}
        own = predicted(loaded.config, dtype=self.dtype, mode=loaded.mode).weights
        others = max(0, sum(self.held.values()) - own)
        count = most_at_once(
            self.memory, loaded.config, self.batch, others=others, dtype=self.dtype, mode=loaded.mode, **shape
        )
        if count < 1:
            raise self._too_large(loaded.checkpoint.name, loaded.config, loaded.mode, others, shape)
        return count

    def _merges(self, folder: Path, adapter: Adapter, choice: Choice) -> bool:
        """Whether an adapter is merged into weights of its own: where nobody else uses its base, or where it replaces
        weights of a quantized one as a whole.
        """
        if (folder / HEADER).is_file():
            return False
        if choice.mode != "none" and adapter.weights.whole:
            return True
        return folder not in self.bases and self._uses(folder) == 1

    def _uses(self, folder: Path) -> int:
        """How many of the checkpoints named have their weights in this folder."""
        found = (registry.find_checkpoint(name) for name in sorted(self.names))
        return sum(registry.locate(c, revision=self.revision, offline=True).folder == folder for c in found)

    def _too_large(
        self, name: str, config: NetworkConfig, mode: Mode, others: int, shape: Mapping[str, Any] | None = None
    ) -> DocpipeError:
        """The error that says what a checkpoint needs for one answer, and what it would need in int8."""

        def needs(mode: Mode) -> str:
            one = predicted(config, dtype=self.dtype, mode=mode, **(shape or {}))
            return f"{(one.total + OWN) / 1e9:.2g} GB"

        assert self.memory is not None
        smaller = f' ({needs("int8")} with quantize = "int8")' if mode == "none" and self.device == "cpu" else ""
        beside = f" beside {others / 1e9:.2g} GB of other checkpoints" if others else ""
        detail = f"one answer needs {needs(mode)}{smaller}{beside}, memory is {self.memory / 1e9:.2g} GB"
        return DocpipeError("DP341", name, detail)
