"""How many processors there are to keep busy: a container sees all of its host's and may use a few."""

from __future__ import annotations

from pathlib import Path

import pytest

from docpipe.models import cpu
from docpipe.models.cpu import physical_cores, quota, usable_cores


@pytest.mark.parametrize(
    ("said", "allowed"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_control_group_s_quota_is_found_in_either_version(tmp_path: Path, said, allowed):
    for name, text in said.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert quota(tmp_path) == allowed


def test_no_more_cores_are_counted_than_there_is_time_for(monkeypatch):
    monkeypatch.setattr(cpu, "quota", lambda: None)
    every = usable_cores()
    assert 1 <= physical_cores() <= every
    monkeypatch.setattr(cpu, "quota", lambda: 0.5)
    assert (usable_cores(), physical_cores()) == (1, 1)
    monkeypatch.setattr(cpu, "quota", lambda: every + 8.0)
    assert usable_cores() == every
