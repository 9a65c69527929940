"""docpipe's own network as what the `paligemma` engine decodes with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from docpipe.models.decode import Decoded, Guide
    from docpipe.models.network import Network


class OwnDecoder:
    """docpipe's own network and decoding loop. drafts: a lone request is decoded with one, where that pays."""

    def __init__(self, network: Network, *, drafts: bool = True) -> None:
        from docpipe.models.kernels import Int8Linear

        self.network = network
        self.drafts = drafts and isinstance(network.unembed, Int8Linear)

    def decode(
        self,
        pixels: torch.Tensor,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        *,
        guides: Sequence[Guide] = (),
        watch: Sequence[int] = (),
        drafts: Sequence[Sequence[int]] = (),
    ) -> list[Decoded]:
        from docpipe.models.decode import generate
        from docpipe.models.draft import generate_with_draft

        if self.drafts and len(prompts) == 1 and not guides and not watch:
            draft = drafts[0] if drafts else ()
            return [generate_with_draft(self.network, pixels, prompts[0], limits[0], draft)]
        return generate(self.network, pixels, prompts, limits, guides=guides, watch=watch)

    def likeliest(
        self,
        pixels: torch.Tensor,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        width: int,
        *,
        guides: Sequence[Guide] = (),
    ) -> list[list[Decoded]]:
        from docpipe.models.beam import likeliest

        return likeliest(self.network, pixels, prompts, limits, width, guides=guides)
