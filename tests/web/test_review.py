"""The review page, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from docpipe.export.corrections import read_corrections

axe = pytest.importorskip("axe_playwright_python.sync_playwright")


@pytest.fixture
def page(chromium: Any, review: tuple[str, Path]) -> Any:
    """The page opened on the document, its regions drawn; errors of its scripts fail the test."""
    context = chromium.new_context(viewport={"width": 1300, "height": 850})
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on(
        "request",
        lambda request: (
            errors.append(request.url) if review[0] not in request.url and not request.url.startswith("blob:") else None
        ),
    )
    made.goto(review[0])
    made.wait_for_selector("rect.region")
    yield made
    context.close()
    assert errors == []


def chosen(page: Any) -> str:
    return str(page.locator('#list [aria-selected="true"]').get_attribute("data-id"))


def width_of(image: Any) -> int:
    """An image's own width in pixels, once it is there."""
    return int(image.evaluate("image => image.decode().then(() => image.naturalWidth)"))


def open_region(page: Any, region: str) -> None:
    page.locator(f'#list [data-id="{region}"]').click()
    page.locator("#detail h2", has_text=region).wait_for()


def test_page_regions_and_list_are_there(page: Any) -> None:
    assert page.locator('.page[data-number="1"] rect.region').count() == 7
    assert page.locator("#list [role=option]").count() == 19
    assert page.locator("#count").text_content() == "19 of 19, 1 doubtful"
    image = page.locator('.page[data-number="1"] img')
    assert width_of(image) > 300, "the page itself is shown"


def test_nothing_that_was_read_runs_or_becomes_markup(page: Any) -> None:
    for region in ("p1.r1", "p1.r2"):
        open_region(page, region)
        assert "<script>" in page.locator("#detail .read").first.inner_text()
        assert page.locator("#detail script, #detail img[src=x]").count() == 0
    assert page.evaluate("window.hacked") is None


def test_each_kind_is_shown_in_its_own_notation(page: Any) -> None:
    open_region(page, "p1.r2")
    assert page.locator("#detail .read td").first.text_content() == "Water"
    for region, words in (("p1.r3", "CC(=O)"), ("p1.r5", "The score as engraved")):
        open_region(page, region)
        drawn = page.locator("#detail .read img.picture")
        drawn.wait_for()
        assert words in drawn.get_attribute("alt")
        assert width_of(drawn) > 20
    open_region(page, "p1.r6")
    assert "A cat on a mat" in page.locator("#detail .read").first.inner_text()
    crop = page.locator("#detail figure img").first
    assert width_of(crop) > 20
    assert crop.get_attribute("alt") == "The pixels of p1.r6"


def test_filters_narrow_the_list(page: Any) -> None:
    page.select_option("#kind", "molecule")
    assert page.locator("#list [role=option]").count() == 2
    page.check("#doubtful")
    assert [chosen_id.get_attribute("data-id") for chosen_id in page.locator("#list [role=option]").all()] == ["p1.r4"]
    page.uncheck("#doubtful")
    page.select_option("#kind", "")
    page.fill("#words", "page 2, paragraph 11")
    assert page.locator("#list [role=option]").count() == 1


def test_a_wrong_edit_is_seen_at_once_and_a_right_one_is_kept_beside_the_document(
    page: Any, review: tuple[str, Path]
) -> None:
    before = (review[1] / "document.json").read_bytes()
    open_region(page, "p1.r3")
    page.keyboard.press("e")
    page.fill("textarea", "CC(=O)Oc1ccccc1C(=O")
    page.locator("#edit-verdict .mark-invalid").wait_for()
    page.fill("textarea", "OCC")
    page.locator("#edit-verdict .mark-valid").wait_for()
    page.locator("#detail .read img[alt='As it would be drawn']").wait_for()
    page.keyboard.press("Control+Enter")
    page.locator("#detail .facts", has_text="edited by a person").wait_for()
    kept = read_corrections(review[1])["p1.r3"]
    assert kept.content is not None
    assert kept.content.smiles == "CCO", "as the check made it canonical"  # type: ignore[union-attr]
    assert (review[1] / "document.json").read_bytes() == before, "the original stays"
    page.keyboard.press("u")
    page.locator("#status", has_text="Taken back").wait_for()
    assert read_corrections(review[1]) == {}


def test_everything_can_be_done_with_the_keyboard(page: Any, review: tuple[str, Path]) -> None:
    page.keyboard.press("n")
    page.locator("#detail h2", has_text="p1.r4").wait_for()
    assert chosen(page) == "p1.r4", "the doubtful one"
    page.keyboard.press("r")
    page.locator("#detail .facts", has_text="rejected by a person").wait_for()
    page.keyboard.press("k")
    page.locator("#detail h2", has_text="p1.r3").wait_for()
    page.keyboard.press("a")
    page.locator("#detail .facts", has_text="accepted by a person").wait_for()
    assert {name: c.action for name, c in read_corrections(review[1]).items()} == {"p1.r4": "reject", "p1.r3": "accept"}
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "words"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "list"
    page.keyboard.press("ArrowDown")
    page.locator("#detail h2", has_text="p1.r4").wait_for()
    page.keyboard.press("?")
    assert page.locator("#keys").get_attribute("open") is not None
    page.keyboard.press("Escape")
    before = page.locator(".page").first.bounding_box()["width"]
    page.keyboard.press("+")
    assert page.locator(".page").first.bounding_box()["width"] == pytest.approx(1.25 * before, rel=0.02)
    page.keyboard.press("0")
    assert page.locator(".page").first.bounding_box()["width"] == pytest.approx(before, rel=0.02)


def test_a_region_chosen_on_the_page_is_chosen_in_the_list(page: Any) -> None:
    page.locator('rect.region[data-id="p1.r2"]').click()
    page.locator("#detail h2", has_text="p1.r2").wait_for()
    assert chosen(page) == "p1.r2"


def test_alternatives_say_who_read_what(page: Any) -> None:
    open_region(page, "p1.r4")
    page.locator("#detail details summary").first.click()
    page.locator("#detail details .read", has_text="C1CC").wait_for()


def test_each_measure_says_how_sure_it_is_and_of_notes_the_least_sure(page: Any) -> None:
    open_region(page, "p1.r5")
    said = page.locator("#detail .sureness").all_inner_texts()
    assert said == ["Sure of each measure: 1: 0.91 · 2: 0.42", "Least sure: 4c (line 4, spine 0) 0.50"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_findings(chromium: Any, review: tuple[str, Path], scheme: str) -> None:
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(review[0])
    page.wait_for_selector("rect.region")
    open_region(page, "p1.r4")
    page.keyboard.press("e")
    page.wait_for_selector("textarea")
    found = axe.Axe().run(page)
    serious = [v for v in found.response["violations"] if v["impact"] in {"serious", "critical"}]
    assert serious == [], [f"{v['id']}: {[n['html'] for n in v['nodes']]}" for v in serious]
    context.close()


def test_a_narrow_window_scrolls_down_and_not_sideways(chromium: Any, review: tuple[str, Path]) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(review[0])
    page.wait_for_selector("rect.region")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    open_region(page, "p1.r3")
    assert page.locator("#detail").is_visible()
    context.close()


def test_without_its_source_the_document_is_still_shown(chromium: Any, tmp_path: Path) -> None:
    from conftest import Served, shelve

    from docpipe.serve.app import review_app

    root = shelve(tmp_path / "out")
    (tmp_path / "out-made.pdf").unlink()
    served = Served(review_app(root))
    page = chromium.new_page()
    page.goto(served.url)
    page.wait_for_selector("rect.region")
    assert "no page images" in page.locator("#status").text_content()
    open_region(page, "p1.r3")
    assert page.locator("#detail .read img.picture").is_visible()
    page.close()
    served.close()
