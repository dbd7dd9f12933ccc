"""`ProxSharing`: the proximal step of weight sharing after any PyTorch optimizer's own step."""

from coset.sharing.optimizer.wrapper import ProxSharing

__all__ = ["ProxSharing"]
