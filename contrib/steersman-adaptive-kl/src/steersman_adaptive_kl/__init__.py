"""`adaptive-kl`: hold the KL divergence to the reference model at a target."""

from steersman_adaptive_kl.strategy import AdaptiveKL

__all__ = ["AdaptiveKL"]
