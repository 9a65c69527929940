"""Can this text have been printed on that crop? Blankness, loops, ink and encoding.

Pixels are rasterized only where they can tell something that the content does not: for readings without word boxes
(a model's answer), for empty readings, and for words read with little confidence. Words of a text layer carry their
own geometry and no confidence, so a born-digital page is judged without a single pixel.
"""

from __future__ import annotations

import re

from docpipe.checks import Checked, Pixels
from docpipe.checks.guard import Findings, judges
from docpipe.checks.ink import is_blank, measure
from docpipe.document import TextContent

DOUBT = 0.6
"""Mean confidence of its words below which a reading's pixels are looked at."""

CHARACTERS_A_MARK = 9
"""More characters than this for each mark on the paper were invented: a joined word of Arabic or handwriting is one
mark, printed Latin has a mark for a character."""

MARKS_A_CHARACTER = 8
"""More marks than this for each character were left unread: printed Latin on a dirty scan
has up to three, and a Chinese character some five."""

BROKEN_SHARE = 0.01
"""Share of broken characters from which a text counts as wrongly encoded rather than as holding an odd sign."""

_MOJIBAKE = re.compile(r"[\u00c2-\u00df][\u0080-\u00bf\u0152-\u0178\u0192\u02c6-\u02dc\u2013-\u2122]"
                       r"|[\u00e0-\u00ef][\u0080-\u00bf\u0152-\u0178\u0192\u02c6-\u02dc\u2013-\u2122]{2}")  # fmt: skip
_LOST = re.compile(r"\ufffd|\(cid:\d+\)")
_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U0010ffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


@judges(TextContent)
def check_text(content: TextContent, clipping: Pixels | None = None) -> Checked:
    """Judge running text.

    Mended, with the original kept: control characters, UTF-8 that was decoded as Windows-1252, and (in readings
    without word boxes) a repetition loop at the end. Invalid: text on a blank crop, no text on an inked one, far more
    or fewer characters than there are marks, more than a hundredth of the characters broken.
    """
    findings, original = Findings(), content.text
    content = _mend_encoding(content, findings)
    if not content.words:
        cut = cut_loop(content.text)
        if cut is not None:
            findings.repair("text.loop", "the text repeated itself to its end and was cut after the first time")
            content = content.model_copy(update={"text": cut})
    _broken(content.text, findings)
    if clipping is not None and _wants_pixels(content):
        _ink(content.text, clipping, findings)
    elif not content.text.strip():
        findings.note("text.empty", "nothing was read, and no pixels were there to tell whether that is right")
        findings.status = "unchecked"
    return Checked(content, findings.verdict(original if content.text != original else None))


def _wants_pixels(content: TextContent) -> bool:
    if not content.words or not content.text.strip():
        return True
    known = [word.confidence for word in content.words if word.confidence is not None]
    return bool(known) and sum(known) / len(known) < DOUBT


def _ink(text: str, clipping: Pixels, findings: Findings) -> None:
    image = clipping.image
    characters = sum(not letter.isspace() for letter in text)
    if is_blank(image):
        if characters:
            findings.error("text.blank", "the crop is blank, yet text was read from it")
        return
    marks = measure(image).marks
    if not characters:
        if marks:
            findings.error("text.unread", f"nothing was read, but the crop holds {marks} mark(s)")
        return
    if characters > CHARACTERS_A_MARK * marks + 10:
        findings.error("text.too-much", f"{characters} characters were read where the crop holds {marks} mark(s)")
    elif marks > MARKS_A_CHARACTER * characters + 40:
        findings.error("text.too-little", f"{characters} characters were read where the crop holds {marks} mark(s)")


def cut_loop(text: str) -> str | None:
    """The text with a repetition at its end cut after the first time; None when there is none.

    A loop is a unit that fills the end of the text (the last time perhaps in part): 4 times for units of 12
    characters or more, and 60 characters in all for shorter ones, which must hold two letters. Leaders, rules and
    columns of equal figures are no loops.
    """
    body = text.rstrip()
    for period in range(2, len(body) // 3):
        same = 0
        while same < len(body) - period and body[-1 - same] == body[-1 - same - period]:
            same += 1
        unit = body[len(body) - same - period : len(body) - same]
        if sum(letter.isalpha() for letter in unit) < 2:
            continue
        if same >= (3 * period if period >= 12 else max(60, 4 * period)):
            return body[: _end_of_unit(body, len(body) - same, period)].rstrip()
    return None


def _end_of_unit(text: str, cut: int, period: int) -> int:
    """The cut moved on to the end of a sentence, else of a word: a loop matches from where its units are alike."""
    ahead = range(cut, min(cut + period, len(text)))
    sentence = (i for i in ahead if text[i - 1] in ".!?\n" and text[i].isspace())
    word = (i for i in ahead if text[i - 1 : i + 1] != text[i - 1 : i + 1].strip())
    return next(sentence, next(word, cut))


def without_controls(text: str) -> str:
    """The text without control characters and noncharacters; tab and line end stay, other line ends become one."""
    return _CONTROL.sub("", re.sub(r"\r\n|[\r\f]", "\n", text))


def decode_again(text: str) -> str:
    """Words of UTF-8 that was decoded as Windows-1252 (é for é) put right; every other word as it is."""

    def mend(match: re.Match[str]) -> str:
        for encoding in ("cp1252", "latin-1"):
            try:
                return match[0].encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
        return match[0]

    return _MOJIBAKE.sub(mend, text)


def _mend_encoding(content: TextContent, findings: Findings) -> TextContent:
    decoded = decode_again(content.text)
    if decoded != content.text:
        findings.repair("text.mojibake", "UTF-8 that had been decoded as Windows-1252 was put right")
    again = without_controls(decoded)
    if again != decoded:
        findings.repair("text.control", "control characters were removed")
    if again == content.text:
        return content
    words = tuple(w.model_copy(update={"text": without_controls(decode_again(w.text))}) for w in content.words)
    return content.model_copy(update={"text": again, "words": words})


def _broken(text: str, findings: Findings) -> None:
    """Replacement and private characters and (cid:…) stand-ins: what the encoding could not say."""
    lost, private = len(_LOST.findall(text)), len(_PRIVATE.findall(text))
    if not lost and not private:
        return
    characters = sum(not letter.isspace() for letter in text)
    for code, count, what in (
        ("text.replacement", lost, "character(s) could not be decoded"),
        ("text.private", private, "character(s) of a private code mean something in their own font only"),
    ):
        if count > BROKEN_SHARE * characters:
            findings.error(code, f"{count} of {characters} {what}")
        elif count:
            findings.note(code, f"{count} of {characters} {what}")
