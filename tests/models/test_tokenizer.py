"""Prompts as token ids: the newline by itself, control tokens that cannot be forged, ids back to text."""

from __future__ import annotations

from pathlib import Path

import pytest
from random_models import GOLDEN
from tokenizers import AddedToken, decoders, models
from tokenizers import Tokenizer as Kept

from docpipe.errors import DocpipeError
from docpipe.models.load import network_config
from docpipe.models.tokenizer import Tokenizer

CONFIG = network_config(GOLDEN / "tiny_10b")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer(GOLDEN / "tiny_10b", CONFIG)


def test_a_prompt_is_bos_prefix_newline(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.prompt("ocr")
    assert tokens[0] == CONFIG.bos
    assert tokens[-1] == 10
    assert tokenizer.text(tokens) == "ocr\n"
    assert tokenizer.newline == [10]


def test_the_newline_is_a_token_of_its_own_where_it_would_merge_with_the_prefix(tmp_path: Path) -> None:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "e", "n", "\n", "en", "n\n", "en\n"]
    kept = Kept(models.BPE({p: i for i, p in enumerate(pieces)}, [("e", "n"), ("en", "\n")], unk_token="<unk>"))
    kept.decoder = decoders.Fuse()
    kept.save(str(tmp_path / "tokenizer.json"))
    assert kept.encode("en\n").ids == [9]  # joined first, it is one token, which no training ever showed
    assert Tokenizer(tmp_path, CONFIG).prompt("en") == [2, 7, 6]


def test_control_tokens_in_a_question_are_left_out(tokenizer: Tokenizer) -> None:
    assert tokenizer.prompt("a<image>b<eos><bos><pad>") == tokenizer.prompt("ab")


def test_a_token_beyond_the_vocabulary_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(DocpipeError, match=r"DP307.*<loc0000>"):
        tokenizer.prompt("caption <loc0000>")


def test_text_leaves_out_control_tokens_and_keeps_the_others(tokenizer: Tokenizer) -> None:
    assert tokenizer.text([2, 77, 78, 0, 300, 560, 1]) == tokenizer.text([77, 78]) + "~300"
    assert tokenizer.text([]) == ""
    assert tokenizer.piece(300) == "~300"


def test_added_tokens_flagged_special_are_kept_in_text(tmp_path: Path) -> None:
    kept = Kept.from_file(str(GOLDEN / "tiny_10b" / "tokenizer.json"))
    kept.add_special_tokens([AddedToken("~500", special=True)])
    kept.save(str(tmp_path / "tokenizer.json"))
    assert Tokenizer(tmp_path, CONFIG).text([500]) == "~500"


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocpipeError, match=r"DP302.*tokenizer\.json is missing"):
        Tokenizer(tmp_path, CONFIG)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(DocpipeError, match=r"DP302.*tokenizer\.json is damaged"):
        Tokenizer(tmp_path, CONFIG)


def test_a_tokenizer_without_a_newline_is_refused(tmp_path: Path) -> None:
    kept = Kept(models.WordLevel({"<pad>": 0, "a": 4}, unk_token="<pad>"))
    kept.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(DocpipeError, match=r"DP302.*no newline"):
        Tokenizer(tmp_path, CONFIG)
