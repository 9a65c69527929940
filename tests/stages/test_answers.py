"""What is made of an engine's answers before a verdict: loops, blank crops, cut answers, failures, and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from PIL import Image, ImageDraw

from docpipe.document import AnswerContent, Box, Content, MoleculeContent, Origin, Page, Region, TextContent
from docpipe.engines.base import Answer, Request
from docpipe.errors import DocpipeError
from docpipe.run.cache import AnswerCache, cache_file, clear
from docpipe.sheet import Sheet
from docpipe.source import SourceRef
from docpipe.stages.answers import answers, key_of, remembering
from docpipe.stages.recognize import Reader
from docpipe.tasks import get_task


def png(text: str = "words") -> bytes:
    import io

    image = Image.new("RGB", (240, 60), "white")
    ImageDraw.Draw(image).text((10, 20), text, fill="black", font_size=24)
    held = io.BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def request(task: str = "text", text: str = "words", **more: object) -> Request:
    ref = SourceRef("a.png", data=png(text))
    page = Page(number=1, width=240, height=60)
    region = Region(id="p1.r1", kind="other", box=Box(0, 0, 240, 60))
    return Request(get_task(task), Sheet(page, ref), region, **more)  # type: ignore[arg-type]


@dataclass
class Model:
    """Says what it is told to. fails: how often it raises first; calls: the batches it was given."""

    says: Content | None = None
    truncated: bool = False
    fails: int = 0
    code: str | None = None
    name: str = "model"
    cached: bool = False
    settings: dict[str, object] = field(default_factory=dict)
    calls: list[int] = field(default_factory=list)

    def can_read(self, task: object) -> bool:
        return task is not None

    def identity(self, request: Request) -> dict[str, object] | None:
        return {"language": request.language, **self.settings}

    def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
        self.calls.append(len(requests))
        if len(self.calls) <= self.fails:
            raise RuntimeError("out of something")
        for one in requests:
            origin = Origin(engine=self.name, crop=one.clipping.record, tokens=7)
            if self.code:
                error = DocpipeError(self.code, self.name).item(1, one.region.id)
                yield Answer(origin, error=error, generated=True)
            else:
                yield Answer(origin, self.says, generated=True, truncated=self.truncated)


def read(task: str, *engines: Model, text: str = "words"):
    return Reader(get_task(task), list(engines)).read([request(task, text)])[0][0]


def codes(reading) -> set[str]:
    return {finding.code for finding in reading.verdict.findings}


# --- guards ------------------------------------------------------------------------------------------------


def test_a_loop_is_cut_and_the_original_kept():
    said = "The words of a page. " + "and so on and so forth, " * 20
    reading = read("text", Model(TextContent(text=said)))
    assert reading.content.text == "The words of a page. and so on and so forth,"
    assert "repetition" in codes(reading)
    assert reading.verdict.status != "valid"
    assert reading.verdict.original == said


def test_a_question_s_answer_in_a_loop_is_cut_too():
    reading = read("question", Model(AnswerContent(answer="a red house " * 30)))
    assert reading.content.answer == "a red house"
    assert "repetition" in codes(reading)


def test_a_blank_crop_yields_no_words():
    reading = read("text", Model(TextContent(text="words that nobody wrote")), text="")
    assert reading.content is None
    assert "blank" in codes(reading)
    assert reading.verdict.status != "valid"


@pytest.mark.parametrize(
    ("task", "content"), [("molecule", MoleculeContent(smiles="CCO")), ("text", TextContent(text="words"))]
)
def test_what_was_cut_at_its_limit_is_never_valid_and_the_next_engine_is_asked(task, content):
    alone = read(task, Model(content, truncated=True))
    assert "truncated" in codes(alone)
    assert alone.verdict.status == "invalid"
    whole = read(task, Model(content, truncated=True), Model(content, name="next"))
    assert whole.origin.engine == "next"
    assert "truncated" not in codes(whole)


def test_a_text_layer_s_words_are_not_guarded():
    """No model wrote them: a document may well say the same thing twenty times, or print white on white."""
    said = "and so on and so forth, " * 20

    class Layer(Model):
        def read(self, requests: Sequence[Request]) -> Iterator[Answer]:
            return (Answer(Origin(engine="layer"), self.says) for _ in requests)

    assert "repetition" not in codes(read("question", Layer(AnswerContent(answer=said))))


# --- failures ----------------------------------------------------------------------------------------------


def test_a_batch_that_fails_is_asked_again_one_by_one():
    model = Model(TextContent(text="words"), fails=1)
    made = answers(model, [request(), request(), request()])
    assert [answer.content.text for answer in made] == ["words"] * 3
    assert model.calls == [3, 1, 1, 1]


def test_an_engine_that_fails_twice_falls_to_the_next():
    first, second = Model(fails=9, name="first"), Model(TextContent(text="words"), name="second")
    reading = read("text", first, second)
    assert reading.origin.engine == "second"
    assert first.calls == [1, 1]
    assert codes(read("text", Model(fails=9))) >= {"DP304"}


def test_a_failure_that_will_come_again_is_not_asked_for_again():
    model = Model(code="DP302")
    assert answers(model, [request(), request()])[0].error.code == "DP302"
    assert model.calls == [2]
    model = Model(code="DP304")
    answers(model, [request(), request()])
    assert model.calls == [2, 1, 1]


# --- memory ------------------------------------------------------------------------------------------------


def test_the_same_is_asked_once_and_answered_alike(tmp_path):
    model = Model(TextContent(text="words"), cached=True)
    with AnswerCache(tmp_path / "c.sqlite") as cache, remembering(cache):
        first = answers(model, [request(), request(text="other")])
        again = answers(model, [request(text="other"), request()])
        assert model.calls == [2]
        assert again == first[::-1]
        assert (cache.hits, cache.content.answers) == (2, 2)
    with AnswerCache(tmp_path / "c.sqlite") as cache, remembering(cache):
        assert answers(model, [request()]) == first[:1]
    assert model.calls == [2]
    answers(model, [request()])
    assert model.calls == [2, 1]


def test_what_an_answer_depends_on_is_in_its_key():
    model = Model(cached=True)
    base = key_of(model, request())
    others = [
        key_of(model, request(text="other")),
        key_of(model, request("caption")),
        key_of(model, request(language="de")),
        key_of(model, request(parts={"question": "what?"})),
        key_of(model, request(draft="wor")),
        key_of(model, request(dpi=72.0)),
        key_of(Model(cached=True, settings={"weights": "other"}), request()),
        key_of(Model(cached=True, name="another"), request()),
    ]
    assert base == key_of(Model(cached=True), request())
    # An image of no stated resolution has the same pixels at any dpi asked for.
    assert len({base, *others}) == len(others)
    assert others[5] == base


def test_errors_and_engines_that_do_not_ask_for_it_are_not_remembered(tmp_path):
    with AnswerCache(tmp_path / "c.sqlite") as cache, remembering(cache):
        answers(Model(code="DP302", cached=True), [request()])
        answers(Model(TextContent(text="words")), [request()])
        assert cache.content.answers == 0
        assert not (tmp_path / "c.sqlite").exists() or cache.hits == 0


def test_a_molecule_elsewhere_on_the_page_is_remembered_with_its_own_place(tmp_path):
    model = Model(MoleculeContent(smiles="CCO"), cached=True)
    there = request("molecule")
    here = Request(there.task, there.sheet, there.region.model_copy(update={"box": Box(0, 0, 240.4, 60)}))
    with AnswerCache(tmp_path / "c.sqlite") as cache, remembering(cache):
        answers(model, [there])
        (answer,) = answers(model, [here])
    assert model.calls == [1]
    assert answer.origin.crop.box == here.region.box


def test_the_cache_is_bounded_and_the_least_recently_used_go_first(tmp_path):
    def said(number: int) -> Answer:
        import random

        letters = random.Random(number).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=2000)
        return Answer(Origin(engine="model"), TextContent(text="".join(letters)))

    with AnswerCache(tmp_path / "c.sqlite", size=20_000) as cache:
        for number in range(40):
            cache.put(str(number), said(number))
            assert cache.get("0") == said(0)  # used all the time
            assert cache.content.size <= 20_000
        assert cache.get("39") == said(39)
        assert cache.get("20") is None
        cache.put("large", Answer(Origin(engine="m"), TextContent(text="".join(chr(i) for i in range(256, 40_000)))))
        assert cache.get("large") is None


def test_writers_at_the_same_time_lose_nothing(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from docpipe.run.cache import AnswerCache\n"
        "from docpipe.engines.base import Answer; from docpipe.document import Origin\n"
        "with AnswerCache(Path(sys.argv[1])) as c:\n"
        "    [c.put(f'{sys.argv[2]}-{i}', Answer(Origin(engine='m'), reason=str(i))) for i in range(100)]\n"
    )
    path = tmp_path / "c.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with AnswerCache(path) as cache:
        assert cache.content.answers == 300


def test_a_damaged_cache_is_made_anew_and_never_fails_a_run(tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"no data base" * 1000)
    model = Model(TextContent(text="words"), cached=True)
    with AnswerCache(path) as cache, remembering(cache):
        assert answers(model, [request()])[0].content.text == "words"
        assert cache.content.answers == 1
    clear(path)
    with AnswerCache(path) as cache:
        assert cache.content.answers == 0
    with AnswerCache(tmp_path / "no" / "folder" / "c.sqlite") as cache:
        (tmp_path / "no").write_text("a file in the way")
        cache.put("a", Answer(Origin(engine="m")))
        assert cache.get("a") is None


def test_a_file_from_elsewhere_cannot_run_code():
    import pickle
    import zlib

    from docpipe.run.records import unpacked

    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    data = zlib.compress(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="no record of docpipe"):
        unpacked(zlib.crc32(data).to_bytes(4, "big") + data)


def test_where_the_cache_is_and_what_is_said_of_it(tmp_path, monkeypatch, capsys):
    import sys

    from docpipe.cli import main

    monkeypatch.setenv("DOCPIPE_CACHE", str(tmp_path / "kept"))
    assert cache_file().parent == tmp_path / "kept"
    with AnswerCache(cache_file()) as cache:
        cache.put("a", Answer(Origin(engine="m"), TextContent(text="words")))

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["docpipe", "cache", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    assert '"readings": 1' in call("info", "--json")
    call("clear")
    assert ": 0 readings" in call("info")
