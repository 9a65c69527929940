"""The server under a hundred uploads at once, and the review page on a long document.

    python benchmarks/server.py [--uploads 100] [--pages 300]

Uploads: nothing may be lost, no answer may come later than the deadline, memory is bounded (the server's own process).
Review page: seconds until the first page with its regions is drawn in Chromium, and the share of frames that come late
while it scrolls through the document.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pymupdf

DEADLINE = 10.0
"""Seconds within which each single request must be answered."""


def pdf(pages: int, lines: int = 30) -> bytes:
    """A made-up document of so many pages of text."""
    made = pymupdf.open()
    for number in range(1, pages + 1):
        page = made.new_page()
        for line in range(lines):
            page.insert_text((60, 70 + 22 * line), f"Page {number}, line {line}: a few words that say nothing much.")
    data: bytes = made.tobytes()
    return data


def started(*words: str) -> tuple[subprocess.Popen[str], str]:
    """A docpipe command that serves, and its address."""
    code = "from docpipe.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip().rstrip("/")


def peak(process: subprocess.Popen[str]) -> float:
    """The most memory the process has held, in MB."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def uploads(count: int) -> dict[str, Any]:
    """Submit `count` documents at once and wait for all of them."""
    data = pdf(1)
    with tempfile.TemporaryDirectory() as folder:
        process, url = started("serve", folder, "--port", "0", "--queue", str(count))
        try:
            limits = httpx.Limits(max_connections=count)
            with httpx.Client(base_url=url, timeout=60, limits=limits) as client, ThreadPoolExecutor(count) as threads:
                slowest = [0.0]

                def asked(method: str, path: str, **how: Any) -> httpx.Response:
                    began = time.perf_counter()
                    answer = client.request(method, path, **how)
                    slowest[0] = max(slowest[0], time.perf_counter() - began)
                    return answer

                began = time.perf_counter()
                answers = list(threads.map(
                    lambda n: asked("POST", "/api/jobs", files={"file": (f"{n}.pdf", data)}), range(count)
                ))  # fmt: skip
                accepted = time.perf_counter() - began
                names = [a.json()["id"] for a in answers if a.status_code == 202]
                while asked("GET", "/health").json()["waiting"] or asked("GET", "/health").json()["running"]:
                    time.sleep(0.2)
                whole = time.perf_counter() - began
                states = [asked("GET", f"/api/jobs/{name}").json() for name in names]
            return {
                "uploads": count,
                "accepted": len(names),
                "complete": sum(s["status"] == "complete" for s in states),
                "accepted_after_s": round(accepted, 2),
                "finished_after_s": round(whole, 2),
                "slowest_answer_s": round(slowest[0], 2),
                "late_answers": int(slowest[0] > DEADLINE),
                "server_peak_mb": round(peak(process), 1),
            }
        finally:
            process.terminate()
            process.wait(20)


FRAMES = """async () => {
  const pane = document.getElementById("pages"), gaps = [];
  let last = performance.now();
  const end = last + 6000;
  while (last < end) {
    pane.scrollBy({ top: 60, behavior: "instant" });
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  gaps.sort((a, b) => a - b);
  return {frames: gaps.length, median: gaps[gaps.length >> 1], p99: gaps[Math.floor(gaps.length * .99)],
          late: gaps.filter((gap) => gap > 50).length / gaps.length, scrolled: pane.scrollTop / pane.scrollHeight};
}"""


def review(pages: int) -> dict[str, Any]:
    """Open a document of so many pages in Chromium and scroll through it."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "long.pdf"
        source.write_bytes(pdf(pages))
        code = "from docpipe.cli import main; main()"
        subprocess.run([sys.executable, "-c", code, "convert", source, "-o", f"{folder}/out", "-q"], check=True)
        process, url = started("view", f"{folder}/out", "--port", "0", "--no-browser")
        try:
            with sync_playwright() as playwright:
                chromium = shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1400, "height": 900})
                httpx.get(url)
                began = time.perf_counter()
                page.goto(url)
                page.wait_for_selector("rect.region")
                drawn = time.perf_counter() - began
                page.locator("#count", has_text="of").wait_for()
                page.locator("#list [role=option]").first.wait_for()
                listed = time.perf_counter() - began
                frames = page.evaluate(FRAMES)
                browser.close()
            size = (Path(folder) / "out" / "long" / "document.json").stat().st_size
            return {
                "pages": pages,
                "document_mb": round(size / 1e6, 1),
                "first_page_s": round(drawn, 2),
                "list_s": round(listed, 2),
                **{name: round(value, 3) for name, value in frames.items()},
                "server_peak_mb": round(peak(process), 1),
            }
        finally:
            process.terminate()
            process.wait(20)


def main() -> None:
    """Measure both and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uploads", type=int, default=100)
    parser.add_argument("--pages", type=int, default=300)
    given = parser.parse_args()
    print(json.dumps({"uploads": uploads(given.uploads), "review": review(given.pages)}, indent=1))


if __name__ == "__main__":
    main()
