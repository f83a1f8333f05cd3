"""`noise-aware`: evaluations within one standard error are tied, and a second metric breaks the tie."""

from steersman_noise_aware.strategy import NoiseAware

__all__ = ["NoiseAware"]
