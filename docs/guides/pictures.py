"""Makes the pictures of the gallery: `python docs/guides/pictures.py` (needs Chromium and the extra `test`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pymupdf
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import docpipe

HERE = Path(__file__).parent / "pictures"
SAMPLES = Path(__file__).parents[2] / "samples"
DOCPIPE = [sys.executable, "-c", "from docpipe.cli import main; main()"]


def small(image: Image.Image, name: str) -> None:
    """Save a picture with few colours: screenshots have no more."""
    image.convert("RGB").quantize(128).save(HERE / name, optimize=True)


IN_VIEW = """() => [...document.images].every(i => {
    const box = i.getBoundingClientRect()
    return box.bottom < 0 || box.top > innerHeight || (i.complete && i.naturalWidth > 0)
})"""


def shot(page: Page, name: str) -> None:
    """Save what the browser shows, once every picture in view has come."""
    page.wait_for_function(IN_VIEW)
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        page.screenshot(path=file.name)
        with Image.open(file.name) as image:
            small(image, name)


def served(*words: object) -> tuple[subprocess.Popen[str], str]:
    """A docpipe command that serves, and its address."""
    process = subprocess.Popen([*DOCPIPE, *map(str, words)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def main() -> None:
    """Make all pictures."""
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        out = Path(folder) / "out"
        command = ["convert", SAMPLES / "mixed.pdf", SAMPLES / "table.png", "-o", out, "--to", "overlay,md", "-q"]
        subprocess.run([*DOCPIPE, *map(str, command)], check=True)
        overlay = pymupdf.open(out / "mixed" / "overlay.pdf")[1].get_pixmap(dpi=90)
        small(Image.frombytes("RGB", (overlay.width, overlay.height), overlay.samples), "overlay.png")
        with Image.open(SAMPLES / "table.png") as image:
            image.thumbnail((700, 700))
            small(image, "table-crop.png")
        (found,) = docpipe.read(SAMPLES / "table.png", task="table")
        (HERE / "table.md").write_text(found.reading.content.to_pandas().to_markdown(index=False) + "\n")  # type: ignore[union-attr]
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        process, url = served("view", out, "--port", 0, "--no-browser")
        page = browser.new_page(viewport={"width": 1280, "height": 820})
        page.goto(f"{url}?document=mixed")
        page.locator("#list [role=option]").first.wait_for()
        page.keyboard.press("n")
        page.locator("#detail figure img").first.wait_for()
        page.wait_for_timeout(1500)
        shot(page, "review.png")
        page = browser.new_page(viewport={"width": 420, "height": 860}, color_scheme="dark")
        page.goto(f"{url}?document=mixed")
        page.locator("#list [role=option]").first.wait_for()
        page.select_option("#kind", "table")
        page.locator("#list [role=option]").first.click()
        page.wait_for_timeout(1500)
        shot(page, "review-narrow.png")
        process.terminate()
        process, url = served("serve", Path(folder) / "server", "--port", 0)
        page = browser.new_page(viewport={"width": 1000, "height": 560})
        page.goto(url)
        for name in ("mixed.pdf", "rotated.pdf"):
            page.set_input_files("#files", SAMPLES / name)
            page.click("text=Convert")
        page.locator("#jobs .badge", has_text="complete").nth(1).wait_for(timeout=120_000)
        page.set_input_files("#files", SAMPLES / "report.pdf")
        page.click("text=Convert")
        page.locator("#jobs progress").wait_for()
        page.wait_for_timeout(1500)
        shot(page, "server.png")
        browser.close()
        process.terminate()


if __name__ == "__main__":
    main()
