"""Stages that end the actor of a Ray cluster that they run under, for pipelines in tests ("cluster_stages:…")."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from docpipe.sheet import Sheet
from docpipe.stages.base import Stage, per_page


def ending_its_actor(*, pages: list[int], once: str | None = None) -> Stage:
    """Kill the actor as the system does when memory runs out. once: a file that is made then; where it is, all is well.

    In a run without a cluster nothing is killed.
    """

    def work(sheet: Sheet) -> Sheet:
        parent = os.getppid()
        in_actor = Path(f"/proc/{parent}/cmdline").read_bytes().startswith(b"ray::")
        if sheet.page.number in pages and in_actor and (once is None or not Path(once).exists()):
            if once is not None:
                Path(once).write_text(str(parent))
            os.kill(parent, signal.SIGKILL)
            time.sleep(60)  # this process ends when it sees that its parent is gone
        return sheet

    return per_page("ending_its_actor", work)


def naming_the_node(*, folder: str) -> Stage:
    """Leave a file named for the process that the actor was started by, which is its node's own."""

    def work(sheet: Sheet) -> Sheet:
        actor = Path(f"/proc/{os.getppid()}/stat").read_bytes()
        node = int(actor.rsplit(b")", 1)[1].split()[1])
        Path(folder, str(node)).touch()
        return sheet

    return per_page("naming_the_node", work)
