"""`pareto`: score checkpoints by several metrics with hard constraints, and name the Pareto front."""

from steersman_pareto.objectives import Objective
from steersman_pareto.strategy import Pareto

__all__ = ["Objective", "Pareto"]
