"""What an evaluation leaves in a folder: report.json, cases.parquet, worst.html, plots; and timings in manifest.json.

All but manifest.json hold the same bytes for the same outcomes.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import docpipe
from docpipe.errors import DocpipeError
from docpipe.evaluate.plots import reliability_plot, sweep_plot
from docpipe.evaluate.report import Report
from docpipe.evaluate.sweep import Sweep
from docpipe.evaluate.worst import worst_page
from docpipe.export.atomic import write_whole


def write_report(report: Report, folder: Path, worst: int = 40) -> list[Path]:
    """Write all files of one report. Raises DP305 without the extra `eval`, DP401 when they cannot be written."""
    files = [
        write_whole(folder / "report.json", [_dumped(report.to_json())]),
        write_whole(folder / "cases.parquet", [parquet(report)]),
    ]
    plot = reliability_plot(report)
    if plot:
        files.append(write_whole(folder / "reliability.png", [plot]))
    files.append(write_whole(folder / "worst.html", [worst_page(report, worst, plot)]))
    files.append(write_whole(folder / "manifest.json", [_dumped(_manifest([report]))]))
    return files


def write_sweep(sweep: Sweep, folder: Path) -> list[Path]:
    """Write a sweep: sweep.json, sweep.png, and the cases of each run. Raises as `write_report`."""
    files = [
        write_whole(folder / "sweep.json", [_dumped(sweep.to_json())]),
        write_whole(folder / "sweep.png", [sweep_plot(sweep)]),
    ]
    for number, run in enumerate(sweep.runs, 1):
        files.append(write_whole(folder / f"cases-{number}.parquet", [parquet(run.report)]))
    files.append(write_whole(folder / "manifest.json", [_dumped(_manifest([run.report for run in sweep.runs]))]))
    return files


def parquet(report: Report) -> bytes:
    """A row for each case: id, folder, status, answer, truths, confidence, message, right, and each measure.

    Raises DP305 without the extra `eval`.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DocpipeError("DP305", "cases.parquet", "pyarrow: install docpipe[eval]") from error
    made = report.outcomes
    columns: dict[str, Any] = {
        "id": pa.array([o.case.id for o in made], pa.string()),
        "folder": pa.array([o.case.group for o in made], pa.string()),
        "system": pa.array([report.system] * len(made), pa.string()),
        "resolution": pa.array([report.resolution] * len(made), pa.string()),
        "status": pa.array([o.status for o in made], pa.string()),
        "answer": pa.array([o.text if o.answered else None for o in made], pa.string()),
        "truths": pa.array([list(o.case.truths) for o in made], pa.list_(pa.string())),
        "confidence": pa.array([o.confidence for o in made], pa.float64()),
        "message": pa.array([o.message for o in made], pa.string()),
    }
    if report.accuracy:
        columns["right"] = pa.array([bool(hit) for hit in report.accuracy.each], pa.bool_())
    for figure in report.figures:
        columns[figure.name] = pa.array(figure.each, pa.float64())
    held = io.BytesIO()
    pq.write_table(pa.table(columns), held, compression="zstd")
    return held.getvalue()


def _dumped(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, indent=1) + "\n"


def _manifest(reports: list[Report]) -> dict[str, Any]:
    return {
        "docpipe": docpipe.__version__,
        "runs": [
            {"system": r.system, "resolution": r.resolution, "cpu_seconds_a_case": round(r.seconds, 4)} for r in reports
        ],
    }
