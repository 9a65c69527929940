"""Taking a trunk's state to a larger input: the same patches, more of them, around the ones that are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.functional import pad

from docpipe.train.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PaliGemmaForConditionalGeneration

    from docpipe.train.auxiliary import Auxiliary

POSITIONS = "model.vision_tower.embeddings.position_embedding.weight"


def centred(table: Tensor, grid: int) -> Tensor:
    """A table [n * n, …] of one row a patch on a grid of `grid`, the old one in the middle, its border repeated."""
    old = int(len(table) ** 0.5)
    before = (grid - old) // 2
    square = table.reshape(old, old, -1).permute(2, 0, 1)[None]
    larger = pad(square, (before, grid - old - before) * 2, mode="replicate")
    return larger[0].permute(1, 2, 0).reshape(grid * grid, *table.shape[1:])


def grown(
    state: dict[str, Any], recipe: Recipe, model: PaliGemmaForConditionalGeneration, auxiliary: Auxiliary
) -> dict[str, Any]:
    """The state for the recipe's grid; unchanged when it fits. AdamW's moments start anew when it grew.

    Raises ValueError when the grid would shrink.
    """
    rows = state["model"][POSITIONS].shape[0]
    wanted, grid = model.state_dict()[POSITIONS].shape[0], recipe.architecture.grid
    if rows == wanted:
        return state
    if rows > wanted:
        raise ValueError(f"the run has {rows} patches, the recipe asks for {wanted}: it can only grow")
    fresh = model.state_dict()[POSITIONS]
    learnt = dict(state["model"])
    learnt[POSITIONS] = centred(learnt[POSITIONS], grid)
    averaged = dict(state["averaged"])
    averaged[POSITIONS] = centred(averaged[POSITIONS], grid).to(fresh.dtype)
    heads = dict(state["auxiliary"])
    for name in ("middle", "final"):
        heads[f"{name}.weight"] = centred(heads[f"{name}.weight"], grid)
        heads[f"{name}.bias"] = centred(heads[f"{name}.bias"], grid)
    del auxiliary
    optimizers = [None, *state["optimizers"][1:]]
    return state | {"model": learnt, "averaged": averaged, "auxiliary": heads, "optimizers": optimizers, "best": None}
