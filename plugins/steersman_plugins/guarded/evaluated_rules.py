"""Thresholds, factors and bounds of the `guarded` preset where a run is evaluated."""

from __future__ import annotations

from attrs import frozen


@frozen
class EvaluatedRules:
    """Thresholds and factors of what `guarded` makes of evaluations.

    Progress is the way from the first logged loss to the lowest eval loss; noise is the median absolute deviation of
    the differences between neighbouring evaluations.
    """

    noise_multiple: float = 6.0
    """How many times its noise a loss must lie above its best to have diverged."""
    progress_share: float = 0.12
    """Share of its progress that the loss must have lost, too."""
    early: int = 5
    """Evaluations that are the first ones: a divergence there shows a learning rate that was never right."""
    early_factor: float = 0.2
    """What the learning rate is multiplied by at a rollback in the first evaluations."""
    late_factor: float = 0.5
    """What it is multiplied by at a later one."""
    restore_after: int = 3
    """Evaluations after a rollback at which the cut of a run that was well for long is taken back; 0 is never."""
    trend: int = 6
    """Evaluations in a row that show a trend."""
    overfitting_z: float = 1.96
    """How surely the eval loss must rise over them for an overfitting: the z of the Mann-Kendall test."""
    overfitting_share: float = 0.02
    """Share of its progress that the eval loss must have lost, too."""
    overfitting_factor: float = 0.3
    """What the learning rate is multiplied by when an overfitting is rolled back; the next one stops the run."""
    floor_share: float = 0.03
    """Noise, as a share of the progress, above which a loss that stands still lies on a floor of noise."""
    floor_factor: float = 0.3
    """What the learning rate is multiplied by to try whether the floor sinks."""
    slow_share: float = 0.2
    """Share of the first loss below which the progress of a run that falls steadily is slow."""
    slow_factor: float = 5.0
    """What the learning rate is multiplied by to try whether a slow run goes faster."""
    judge_after: int = 2
    """Evaluations after which a trial of another learning rate is kept or taken back."""
    rest: int = 4
    """Evaluations after a trial that failed before the next; twice as many after each further one."""
    zero_share: float = 0.5
    """Share of the weight tensors without any gradient at which units are dead."""
    depth_ratio: float = 1e-4
    """Ratio of the gradients of the first layers to those of the last below which they vanish."""
