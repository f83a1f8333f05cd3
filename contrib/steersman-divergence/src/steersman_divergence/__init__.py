"""`divergence`: spikes, divergence, exploding gradients and masked NaN, by robust statistics of the run itself."""

from steersman_divergence.strategy import Divergence

__all__ = ["Divergence"]
