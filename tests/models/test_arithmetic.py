"""What the setting `quantize` comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from docpipe.errors import DocpipeError
from docpipe.models import kernels
from docpipe.models.arithmetic import choice_for, told
from docpipe.models.memory import published_config
from docpipe.models.network import NetworkConfig

LARGE = published_config("3b", 224)
SMALL = replace(LARGE, text=replace(LARGE.text, width=128, vocabulary=256))


def test_auto_leaves_a_small_network_exact_and_makes_a_large_one_int8() -> None:
    assert choice_for(SMALL).mode == "none"
    assert told(choice_for(SMALL)) == "float32: the network is small"
    chosen = choice_for(LARGE)
    assert chosen.mode == ("int8" if kernels.best_backend() else "none")
    assert "processor" in told(chosen)
    assert choice_for(SMALL, "int8-weight").mode == "int8-weight", "what is asked for is done"


@pytest.mark.parametrize(("dtype", "device"), [("bfloat16", "cpu"), ("bfloat16", "cuda"), ("float32", "mps")])
def test_auto_honours_another_type_and_another_device(dtype: str, device: str) -> None:
    assert choice_for(LARGE, "auto", dtype, device).mode == "none"
    assert choice_for(LARGE, "none", dtype, device).why == dtype


@pytest.mark.parametrize(
    ("config", "mode", "device"), [(LARGE, "int8", "cuda"), (SMALL, "bf16", "cuda"), (SMALL, "int3", "cpu")]
)
def test_what_is_not_to_be_had_is_refused(config: NetworkConfig, mode: str, device: str) -> None:
    with pytest.raises(DocpipeError, match="DP313"):
        choice_for(config, mode, device=device)
