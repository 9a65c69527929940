"""Our forward pass and decoding against transformers on random weights, in every configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from random_models import IMAGE_TOKEN, random_model, random_pixels, random_prompts, save

from docpipe.engines.paligemma_reference import TransformersDecoder
from docpipe.models.decode import generate
from docpipe.models.load import load_network
from docpipe.models.network import Cache, Network, as_bias, prefix_lm_mask, slide

torch.set_num_threads(1)

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "published cap": {"attn_logit_softcapping": 50.0},
    "no soft-caps": {"attn_logit_softcapping": None, "final_logit_softcapping": None},
    "attention cap alone": {"final_logit_softcapping": None},
    "final cap alone": {"attn_logit_softcapping": None},
    "short window": {"sliding_window": 12},
    "full attention everywhere": {"layer_types": ["full_attention"] * 3},
    "one key head": {"num_key_value_heads": 1},
    "rope base": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
}


def both(folder: Path, model: Any, prefix: int, suffix: int, *, window: bool, pad: int = 0) -> tuple[Any, Any]:
    """transformers' and our logits of two sequences, the second with `pad` tokens of padding on its left."""
    network = load_network(folder)
    pixels, tokens = (
        random_pixels(2, network.config.vision.side),
        torch.tensor(random_prompts(*[prefix + suffix] * 2)),
    )
    n, length = network.config.vision.tokens, network.config.vision.tokens + prefix + suffix
    ids = torch.cat([torch.full((2, n), IMAGE_TOKEN), tokens], 1)
    causal = torch.cat([torch.zeros(2, n + prefix), torch.ones(2, suffix)], 1).long()
    real = torch.ones_like(causal)
    if pad:  # the second sequence moves right; what falls off its end is not compared
        ids[1] = torch.cat([torch.zeros(pad), ids[1, :-pad]])
        causal[1] = torch.cat([torch.zeros(pad), causal[1, :-pad]])
        real[1, :pad] = 0
    positions = real.cumsum(1)
    with torch.inference_mode():
        theirs = model(input_ids=ids, pixel_values=pixels, attention_mask=real, token_type_ids=causal,
                       position_ids=positions.clamp(min=1))  # fmt: skip
        x, seen_images = network.embed(ids.clamp(max=IMAGE_TOKEN - 1)), network.see(pixels)
        x[ids == IMAGE_TOKEN] = seen_images.flatten(0, 1)
        seen = prefix_lm_mask(causal, real)
        near = as_bias(slide(seen, network.config.text.window or length, causal)) if window else None
        hidden = network(x, positions, Cache(network.config.text, 2, length, x), as_bias(seen), near)
        ours = network.logits(hidden)
    return theirs.logits[real == 1], ours[real == 1]


def worst(theirs: torch.Tensor, ours: torch.Tensor) -> float:
    """The largest error, relative to the largest logit."""
    return float((theirs - ours).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", ["3b", "10b", "28b"])
def test_logits_agree_with_and_without_padding(tmp_path: Path, shape: str, variant: str) -> None:
    model = random_model(shape, **VARIANTS[variant])
    folder = save(model, tmp_path)
    assert worst(*both(folder, model, 9, 11, window=True)) < 1e-4
    assert worst(*both(folder, model, 9, 11, window=True, pad=4)) < 1e-4


def test_the_variants_are_different_enough_to_tell_apart(tmp_path: Path) -> None:
    made = {}
    for number, (name, settings) in enumerate(VARIANTS.items()):
        if "one key head" not in name:
            model = random_model("3b", **settings)
            made[name] = both(save(model, tmp_path / str(number)), model, 9, 11, window=True)[0]
    plain = made.pop("plain")
    del made["full attention everywhere"]  # the same as a window of 4096 on a short sequence
    assert all(worst(plain, logits) > 1e-3 for logits in made.values())


@pytest.mark.parametrize(("side", "tokens"), [(224, 256), (448, 1024)])
def test_logits_agree_at_the_token_counts_of_the_published_sizes(tmp_path: Path, side: int, tokens: int) -> None:
    model = random_model("3b", side=side)
    folder = save(model, tmp_path)
    assert load_network(folder).config.vision.tokens == tokens
    assert worst(*both(folder, model, 6, 10, window=True)) < 1e-4


@pytest.mark.parametrize("shape", ["3b", "10b", "28b"])
def test_greedy_tokens_agree_over_64_steps_in_a_batch_of_unequal_prompts(tmp_path: Path, shape: str) -> None:
    folder = save(random_model(shape), tmp_path)
    reference, network = TransformersDecoder(folder), load_network(folder)
    pixels, prompts = random_pixels(3), random_prompts(4, 13, 7)
    theirs, ours = reference.decode(pixels, prompts, [64] * 3), generate(network, pixels, prompts, 64)
    assert [a.tokens for a in ours] == [a.tokens for a in theirs]
    assert [a.finished for a in ours] == [a.finished for a in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert max(abs(x - y) for x, y in zip(a.logprobs, b.logprobs, strict=True)) < 2e-3


def test_rows_end_alone_and_batch_neighbours_change_nothing(tmp_path: Path) -> None:
    network = load_network(save(random_model("10b", seed=4), tmp_path))
    pixels, prompts, limits = random_pixels(4), random_prompts(4, 13, 7, 7), [40, 3, 25, 40]
    first = generate(network, pixels, prompts, limits)
    ends = [a.tokens[len(a.tokens) // 2] for a in first[::2]]
    together = generate(network, pixels, prompts, limits, eos=ends[0])
    assert {a.finished for a in together} == {True, False}
    for row, answer in enumerate(together):
        alone = generate(network, pixels[row : row + 1], [prompts[row]], limits[row], eos=ends[0])[0]
        assert alone.tokens == answer.tokens
        assert alone.finished == answer.finished
        assert max(abs(x - y) for x, y in zip(alone.logprobs, answer.logprobs, strict=True)) < 1e-3


def test_bfloat16_is_as_close_to_float32_as_transformers_bfloat16_is(tmp_path: Path) -> None:
    model = random_model("3b")
    folder = save(model, tmp_path)
    exact = both(folder, model, 9, 11, window=True)[0]
    theirs = both(folder, model.to(torch.bfloat16), 9, 11, window=True)[0].float()
    network = load_network(folder, "bfloat16")
    assert network.words.dtype is torch.bfloat16
    ours = bfloat16_logits(network, 9, 11)
    mean = float((theirs - exact).abs().mean()), float((ours - exact).abs().mean())
    assert 0 < mean[1] < 1.5 * mean[0]


def bfloat16_logits(network: Network, prefix: int, suffix: int) -> torch.Tensor:
    pixels, tokens = random_pixels(2), torch.tensor(random_prompts(*[prefix + suffix] * 2))
    with torch.inference_mode():
        x = torch.cat([network.see(pixels), network.embed(tokens)], 1)
        length = x.shape[1]
        causal = (torch.arange(length) >= length - suffix).long().expand(2, length)
        bias, positions = as_bias(prefix_lm_mask(causal)), torch.arange(1, length + 1).expand(2, length)
        return network.logits(network(x, positions, Cache(network.config.text, 2, length, x), bias)).flatten(0, 1)


# --- traps ----------------------------------------------------------------------------------------------------


def test_transformers_window_hides_image_tokens_and_ours_does_not(tmp_path: Path) -> None:
    """At 896 px the published window of 4096 is shorter than image and prompt; here both are scaled down."""
    model = random_model("3b", sliding_window=16)
    folder = save(model, tmp_path)
    windowed, full = both(folder, model, 9, 11, window=False)
    assert worst(windowed, full) > 1e-2  # what transformers does by itself
    pixels, prompts = random_pixels(1), random_prompts(9)
    reference = TransformersDecoder(folder).decode(pixels, prompts, [24])  # its window set past the sequence
    ours = generate(load_network(folder), pixels, prompts, 24)
    assert ours[0].tokens == reference[0].tokens
    narrow = TransformersDecoder(folder, window=None).decode(pixels, prompts, [24])
    assert narrow[0].logprobs[1] != pytest.approx(ours[0].logprobs[1], abs=1e-6)


def test_a_prompt_longer_than_the_window_is_read_whole(tmp_path: Path) -> None:
    model = random_model("3b", sliding_window=16)
    folder = save(model, tmp_path)
    pixels, prompts = random_pixels(1), random_prompts(60)
    network = load_network(folder)
    other = [[*prompts[0][:1], 5, *prompts[0][2:]]]  # the second token, far outside the window
    ours = generate(network, pixels, prompts, 16)
    assert ours[0].tokens == TransformersDecoder(folder).decode(pixels, prompts, [16])[0].tokens
    assert ours[0].logprobs != generate(network, pixels, other, 16)[0].logprobs


def test_token_type_ids_are_always_given_and_matter(tmp_path: Path) -> None:
    model = random_model("3b")
    reference = TransformersDecoder(save(model, tmp_path))
    given = reference.inputs(random_pixels(2), random_prompts(6, 9))
    assert given["token_type_ids"].shape == given["input_ids"].shape
    assert not given["token_type_ids"].any()
    assert "labels" not in given
    assert given["attention_mask"][0, :3].tolist() == [0, 0, 0]  # padding on the left, masked
    with torch.inference_mode():
        right = reference.model(**given).logits[:, -1]
        causal = reference.model(**{k: v for k, v in given.items() if k != "token_type_ids"}).logits[:, -1]
    assert float((right - causal).abs().max()) > 0.1


def test_padding_is_masked(tmp_path: Path) -> None:
    network = load_network(save(random_model("3b"), tmp_path))
    pixels, prompts = random_pixels(2), random_prompts(5, 17)
    short = generate(network, pixels, prompts, 20)[0]
    alone = generate(network, pixels[:1], prompts[:1], 20)[0]
    assert short.tokens == alone.tokens


def test_the_reference_runs_eager_attention_with_the_window_out_of_the_way(tmp_path: Path) -> None:
    reference = TransformersDecoder(save(random_model("3b"), tmp_path))
    text = reference.model.config.text_config
    assert text._attn_implementation == "eager"
    assert text.attn_logit_softcapping == 8.0
    assert text.sliding_window > 1_000_000


def test_image_tokens_are_not_scaled_and_words_are(tmp_path: Path) -> None:
    model = random_model("3b")
    network = load_network(save(model, tmp_path))
    pixels, words = random_pixels(1), torch.tensor([[5, 9]])
    with torch.inference_mode():
        theirs = model.model.get_image_features(pixels).pooler_output
        assert torch.allclose(network.see(pixels), theirs, atol=1e-4)
        stored = model.get_input_embeddings().weight[words]
        assert torch.allclose(network.embed(words), stored * 72**0.5, atol=1e-5)
