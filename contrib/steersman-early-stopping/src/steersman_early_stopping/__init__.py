"""`early-stopping`: end a run that no longer improves, or whose budget is spent."""

from steersman_early_stopping.early_stopping import EarlyStopping

__all__ = ["EarlyStopping"]
