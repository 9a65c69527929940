r"""The check of formulas: latex2mathml reads the LaTeX, and what it does not know is told.

It is lenient where TeX is not (unknown commands and stray braces become identifiers), so those are looked for.
"""

from __future__ import annotations

import re

from docpipe.checks import Checked, Pixels
from docpipe.checks.answer import mended
from docpipe.checks.guard import Findings, judges
from docpipe.document import AnswerContent

_INSIDE = r"((?:\\[^\[\]()]|[^$\\])*)"
_DELIMITED = tuple(
    re.compile(opens + _INSIDE + closes)
    for opens, closes in ((r"\$\$", r"\$\$"), (r"\$", r"\$"), (r"\\\[", r"\\\]"), (r"\\\(", r"\\\)"))
)
_DISPLAY = re.compile(r"\\begin\{(equation|displaymath)\*?\}(.*)\\end\{\1\*?\}", re.DOTALL)
_UNKNOWN = re.compile(r"<mi[^>]*>(\\[^<]*|[{}])</mi>")


@judges(AnswerContent)
def check_formula(content: AnswerContent, clipping: Pixels | None = None) -> Checked:  # noqa: ARG001
    """Judge LaTeX. Valid: it converts to MathML, every command is known and braces are balanced.

    Repaired: `latex.delimiters` ($, \\[ and the like taken off), `answer.loop`. Invalid: `latex.empty`,
    `latex.broken`, `latex.unknown`, `latex.braces`.
    """
    findings, original = Findings(), content.answer
    text = mended(content.answer, findings)
    bare = undelimited(text)
    if bare != text:
        findings.repair("latex.delimiters", "what delimited the formula was taken off")
    checked = content.model_copy(update={"answer": bare})
    _judge(bare, findings)
    return Checked(checked, findings.verdict(original if bare != original else None))


def undelimited(text: str) -> str:
    """LaTeX without dollars, brackets or environment around the whole of it."""
    for pattern in _DELIMITED:
        if found := pattern.fullmatch(text):
            return found[1].strip()
    found = _DISPLAY.fullmatch(text)
    return found[2].strip() if found else text


def to_mathml(latex: str) -> str:
    """LaTeX as MathML, by latex2mathml. Raises ValueError, saying why, when it cannot be read."""
    from latex2mathml.converter import convert

    try:
        return convert(latex)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except Exception as error:  # the library has a class for each mistake, under no common one
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removesuffix("Error")).lower()
        raise ValueError(f"{name} {error}".strip()) from error


def _judge(latex: str, findings: Findings) -> None:
    if not latex:
        findings.error("latex.empty", "there is no formula in the answer")
        return
    if re.sub(r"\\[{}\\]", "", latex).count("{") != re.sub(r"\\[{}\\]", "", latex).count("}"):
        findings.error("latex.braces", "braces are not balanced")
    try:
        mathml = to_mathml(latex)
    except ValueError as error:
        findings.error("latex.broken", f"it does not convert to MathML: {error}")
        return
    for command in dict.fromkeys(_UNKNOWN.findall(mathml)):
        if command.startswith("\\"):
            findings.error("latex.unknown", f"{command} is no command that is known")
