"""Decoding by a grammar over text: an answer that can only become well-formed HTML, SMILES or **kern.

For any vocabulary, of the engine's setting `grammar = "auto"`: what a token may be follows from the text it stands for
(a `decode.Guide`, for greedy decoding and `models.beam`). Rules over the ids of one closed vocabulary are
`models.guided`'s.

llguidance (MIT) says after each token which may come next, from a context-free grammar (docpipe/models/grammars, and
`kern_grammar`); what is not context-free is asked of the likeliest tokens alone: ring numbers of SMILES must pair
before the end, and the cells of a table must tile its grid. docs/paligemma.md compares the libraries and says what
grammars gain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from docpipe.errors import DocpipeError
from docpipe.models.tiling import tiles
from docpipe.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

MOST_SPINES = 8
"""Spines of a score beyond which no line is let through: staves of a piano with two voices each take four."""


class Notation(NamedTuple):
    """A grammar, and what else must hold: of the text so far, and of an answer that is to end."""

    grammar: str
    begins: Callable[[str], bool]
    ends: Callable[[str], bool]


def rings_pair(smiles: str) -> bool:
    """Whether every ring number of a SMILES that is opened is closed."""
    outside = re.sub(r"\[[^\]]*\]?", "", smiles)
    numbers = re.findall(r"%(\d\d)|(\d)", outside)
    found = [int(two or one) for two, one in numbers]
    return all(found.count(number) % 2 == 0 for number in set(found))


def rings_hold(smiles: str) -> bool:
    """Whether no ring number of a SMILES closes on the atom that opened it."""
    outside = re.sub(r"\[[^\]]*\]", "*", smiles)
    for run in re.finditer(r"(?:[-=#$:~/\\]?(?:%\d\d|\d))+", outside):
        found = re.findall(r"%\d\d|\d", run[0])
        if len(set(found)) < len(found):
            return False
    return True


def kern_grammar(most: int = MOST_SPINES) -> str:
    """**kern in which every line has as many spines as those above leave: splits and joins are counted.

    The language is regular: a state for each number of spines. Also in the encodings with `<t>` and `<b>`.
    """
    rules = ["start: " + " | ".join(f"{_across('KIND', n)} NL s{n}" for n in range(1, most + 1))]
    for n in range(1, most + 1):
        ways = [f"line{n} NL s{n}", f"end{n} NL?"]
        for step, lines in sorted(_paths(n, most).items()):
            ways.append(f"turn{n}_{step} NL s{step}")
            written = (" TAB ".join(f'"{cell}"' for cell in cells) for cells in lines)
            rules.append(f"turn{n}_{step}: " + " | ".join(written))
        rules.append(f"s{n}: " + " | ".join(ways))
        rules.append(f"line{n}: {_across('CELL', n)} | {_across('MARK', n)} | {_across('NOTE', n)} | GLOBAL")
        rules.append(f"end{n}: " + _across('"*-"', n))
    return "\n".join(
        [
            *rules,
            r"KIND: /\*\*(b?e)?kern(_[0-9.]+)?/",
            r"TAB: /\t| ?<t> ?/",
            r"NL: /\n| ?<b> ?/",
            r"CELL: /[^\t\n<!*]([^\t\n<]|<[^bt])*/",
            r"MARK: /\*([^\t\n<^v+\-x*]([^\t\n<]|<[^bt])*)?/",
            r"NOTE: /!([^!\t\n<]([^\t\n<]|<[^bt])*)?/",
            r"GLOBAL: /!!([^\n<]|<[^b])*/",
        ]
    )


def _across(cell: str, n: int) -> str:
    """A line of n cells of a kind."""
    return " TAB ".join([cell] * n)


def _paths(n: int, most: int) -> dict[int, list[tuple[str, ...]]]:
    """Lines of `*^` and `*v` over n spines by the number of spines after them."""
    made: dict[int, list[tuple[str, ...]]] = {}
    for cells in product(("*", "*^"), repeat=n):
        if "*^" in cells and n + cells.count("*^") <= most:
            made.setdefault(n + cells.count("*^"), []).append(cells)
    for cells in product(("*", "*v"), repeat=n):
        runs = [len(run) for run in re.findall("v+", "".join(cell[-1] for cell in cells))]
        if runs and min(runs) > 1:
            made.setdefault(n - sum(run - 1 for run in runs), []).append(cells)
    return made


def has_grammar(task: str) -> bool:
    """Whether answers of a task have a grammar."""
    return task in ("molecule", "table", "score")


@lru_cache(maxsize=8)
def notation(task: str) -> Notation | None:
    """The grammar of a task's answers; None for those that have none."""
    if task == "score":
        return Notation(kern_grammar(), lambda _: True, lambda _: True)
    if task not in ("molecule", "table"):
        return None
    text = (files("docpipe.models") / "grammars" / f"{task}.lark").read_text("utf-8")
    if task == "molecule":
        return Notation(text, rings_hold, rings_pair)
    return Notation(text, tiles, tiles)


class Grammar:
    """The grammar of a task's answers for one checkpoint's vocabulary.

    Raises DP305 when llguidance is not installed, DP302 when the grammar cannot be compiled for the vocabulary.
    """

    def __init__(self, task: str, tokenizer: Tokenizer, vocabulary: int, eos: int) -> None:
        try:
            import llguidance
        except ImportError as error:
            raise DocpipeError("DP305", "llguidance", "the extra `grammar` has it") from error
        found = notation(task)
        if found is None:
            raise DocpipeError("DP302", task, "it has no grammar")
        self.notation, self.eos, self.vocabulary = found, eos, vocabulary
        self.pieces = [tokenizer.stored_bytes(token) for token in range(vocabulary)]
        words = llguidance.TokenizerWrapper(_Words(self.pieces, eos, tokenizer))
        self._tokens = llguidance.LLTokenizer(words, n_vocab=vocabulary, eos_token=eos)
        self._grammar = llguidance.LLMatcher.grammar_from_lark(found.grammar)
        self._matcher: Any = llguidance.LLMatcher
        # Its usual limits are for JSON: where letters are words of the grammar, a large vocabulary needs more items.
        self._limits = llguidance.LLParserLimits(step_max_items=10_000_000, max_items_in_row=100_000)
        matcher = self.matcher()
        if matcher.is_error():
            raise DocpipeError("DP302", task, f"the grammar does not compile: {matcher.get_error()[:200]}")

    def matcher(self) -> Any:
        """The library's matcher at the beginning of an answer."""
        return self._matcher(self._tokens, self._grammar, limits=self._limits)

    def guide(self) -> GrammarGuide:
        """A guide at the beginning of an answer."""
        return GrammarGuide(self, self.matcher(), b"")


class GrammarGuide:
    """What may come next in one answer (`decode.Guide`). Where nothing may, it gives up and lets all through."""

    def __init__(self, grammar: Grammar, matcher: Any, text: bytes, lost: bool = False) -> None:
        self.grammar, self.matcher, self.text, self.lost = grammar, matcher, text, lost

    def limited(self, logits: Tensor, count: int) -> Tensor:
        """Logits [V], -inf for what may not come next; of the others the best `count` keep what no grammar says."""
        import torch

        grammar = self.grammar
        allowed = torch.from_numpy(self._allowed()) if not self.lost else None
        if allowed is None or not bool(allowed.any()):
            self.lost = True
            return logits
        limited = logits.masked_fill(~allowed.to(logits.device), -torch.inf)
        good = 0
        for token in limited.argsort(descending=True, stable=True).tolist():
            if good >= count or limited[token] == -torch.inf:
                break
            if self._holds(token):
                good += 1
            else:
                limited[token] = -torch.inf
        if not good:  # only what breaks it is left: better to end here
            limited[grammar.eos] = logits[grammar.eos]
        return limited

    def take(self, token: int) -> GrammarGuide:
        """The guide after a token: itself."""
        self.text += self.grammar.pieces[token]
        if not self.lost and not self.matcher.consume_token(token):
            self.lost = True
        return self

    def copy(self) -> GrammarGuide:
        """A guide of its own for another way on."""
        return GrammarGuide(self.grammar, self.matcher.deep_copy(), self.text, self.lost)

    def _allowed(self) -> np.ndarray:
        bits = np.frombuffer(self.matcher.compute_bitmask(), np.uint8)
        allowed: np.ndarray = np.unpackbits(bits, bitorder="little")[: self.grammar.vocabulary].astype(bool)
        return allowed

    def _holds(self, token: int) -> bool:
        rules = self.grammar.notation
        if token == self.grammar.eos:
            return rules.ends(self.text.decode("utf-8", "replace"))
        return rules.begins((self.text + self.grammar.pieces[token]).decode("utf-8", "replace"))


class _Words:
    """A vocabulary in the form that llguidance's TokenizerWrapper takes."""

    def __init__(self, pieces: Sequence[bytes], eos: int, tokenizer: Tokenizer) -> None:
        self.tokens = list(pieces)
        self.eos_token_id, self.bos_token_id = eos, None
        self.special_token_ids = [i for i, piece in enumerate(pieces) if not piece]
        self._tokenizer = tokenizer

    def __call__(self, text: str | bytes) -> list[int]:
        return self._tokenizer.encode(text if isinstance(text, str) else text.decode("utf-8", "replace"))
