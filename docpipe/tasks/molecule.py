"""Molecules: a drawn structure as SMILES."""

from __future__ import annotations

from docpipe.checks.smiles import check_molecule
from docpipe.document import MoleculeContent
from docpipe.metrics.smiles import exact_match
from docpipe.models.preprocess import pad_to_white_square
from docpipe.notation.groups import expand
from docpipe.tasks.base import task


@task("molecule", reads="molecule", writes="molecule")
class MoleculeTask:
    """Read a drawn molecule as SMILES (PaliGemma 2, arXiv 2412.03555, sec. 4.3: 448 px, 256 tokens).

    The paper prints no prefix and no public checkpoint was fine-tuned for it: `smiles` is docpipe's own.
    """

    prompts = {"nano": "smiles", "*": "smiles"}  # noqa: RUF012
    size, max_tokens = 448, 256
    prepare = staticmethod(pad_to_white_square)
    check = staticmethod(check_molecule)
    metric = staticmethod(exact_match)

    def parse(self, text: str) -> MoleculeContent:
        """The answer with tokens of groups written out; the check trims and canonicalises it and keeps the original."""
        return MoleculeContent(smiles=expand(text))
