"""`plateau`: cut the learning rate when a metric no longer improves."""

from steersman_plateau.plateau import Plateau

__all__ = ["Plateau"]
