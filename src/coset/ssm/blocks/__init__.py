"""Published blocks with a diagonal recurrence: S4D, Mamba, Negative Mamba, AUSSM, Simple AUSSM."""

from __future__ import annotations

from coset.ssm.blocks.aussm import AUSSMBlock, SimpleAUSSMBlock
from coset.ssm.blocks.block import CausalConvolution, RecurrentBlock
from coset.ssm.blocks.mamba import MambaBlock, NegativeMambaBlock
from coset.ssm.blocks.s4d import S4DBlock
from coset.ssm.blocks.stack import BLOCKS, BlockStack

__all__ = [
    "BLOCKS",
    "AUSSMBlock",
    "BlockStack",
    "CausalConvolution",
    "MambaBlock",
    "NegativeMambaBlock",
    "RecurrentBlock",
    "S4DBlock",
    "SimpleAUSSMBlock",
]
