"""A node of a Ray cluster that goes down in mid-run: here two nodes on one machine, one of them killed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pymupdf
import pytest

from docpipe.pipeline import Pipeline
from docpipe.run.batch import BatchSettings, convert_files
from docpipe.run.events import Event, PageDone
from docpipe.run.ray_batch import convert_on_ray

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="Ray's nodes on one machine")]

STAGES = """
name = "slow"
[[stage]]
use = "odd_stages:marking"
[[stage]]
use = "odd_stages:sleeping"
seconds = 0.5
[[stage]]
use = "cluster_stages:naming_the_node"
folder = "{}"
[[stage]]
use = "assemble"
"""


@pytest.fixture
def nodes():
    """A cluster of two nodes with a processor each, joined; gives the second one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args=small | {"include_dashboard": False})
    second = cluster.add_node(**small)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield second
    ray.shutdown()
    cluster.shutdown()


def test_a_node_killed_in_mid_run_costs_nothing(nodes, tmp_path):
    document = pymupdf.Document()
    for number in range(1, 61):
        document.new_page().insert_text((72, 72), f"page {number}")
    source, how, seen = tmp_path / "a.pdf", tmp_path / "slow.toml", tmp_path / "seen"
    document.save(source)
    seen.mkdir()
    how.write_text(STAGES.format(seen), encoding="utf-8")
    killed: list[int] = []

    def watch(event: Event) -> None:
        if isinstance(event, PageDone) and not killed and len(list(seen.iterdir())) == 2:  # both are at work
            killed.append(nodes.all_processes["raylet"][0].process.pid)
            os.kill(killed[0], signal.SIGKILL)

    (there,) = convert_on_ray([source], tmp_path / "there", Pipeline.from_toml(how), BatchSettings(jobs=0), watch)
    assert killed
    assert not Path(f"/proc/{killed[0]}/exe").exists()
    assert (there.status, there.note, dict(there.pages)) == ("complete", None, {"complete": 60})
    how.write_text(STAGES.format(seen).replace("0.5", "0.0"), encoding="utf-8")
    convert_files([source], tmp_path / "here", Pipeline.from_toml(how), BatchSettings(jobs=2))
    assert (tmp_path / "there/a/document.json").read_bytes() == (tmp_path / "here/a/document.json").read_bytes()
