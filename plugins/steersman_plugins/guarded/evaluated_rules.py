"""Thresholds, factors and bounds of the `guarded` preset where a run is evaluated."""

from __future__ import annotations

from attrs import frozen


@frozen
class EvaluatedRules:
    """Thresholds and factors of what `guarded` makes of evaluations.

    Progress is the way from the first logged train loss, or the first eval loss where that is higher, to the lowest
    eval loss; noise is the median absolute deviation of the differences between neighbouring evaluations.
    """

    noise_multiple: float = 6.0
    """How many times its noise a loss must lie above its best to have diverged."""
    progress_share: float = 0.12
    """Share of its progress that the loss must have lost, too."""
    learned_share: float = 0.1
    """Share of the first loss that the progress must be for a run to have learned something that it can lose."""
    severe_share: float = 0.4
    """Share of its progress that the train loss alone must have lost for any rise of the eval loss to count."""
    severe_noise_multiple: float = 0.5
    """How many times its noise the eval loss must lie above its best then."""
    severe_eval_share: float = 0.01
    """Share of its progress that the eval loss must have lost then, too."""
    start_multiple: float = 1.2
    """How many times the first loss of the run both losses must be in the first evaluations to go back there."""
    sure_start_multiple: float = 1.5
    """How many times that loss they must be at the very first evaluation; below that it is only named."""
    early: int = 5
    """Evaluations that are the first ones: a divergence there shows a learning rate that was never right."""
    early_excess: float = 2.0
    """How many times further than is explained both losses must lie above their best there: noise is hardly known."""
    early_factor: float = 0.4
    """What the learning rate is multiplied by at a rollback in the first evaluations."""
    late_factor: float = 0.5
    """What it is multiplied by at a later one, but for the first of a run that was well for that many evaluations."""
    restore_after: int = 1
    """Evaluations after a rollback at which the cut of a run that was well for long is taken back; 0 is never."""
    trend: int = 6
    """Evaluations in a row that show a trend."""
    overfitting_z: float = 2.3
    """How surely the eval loss must rise over them for an overfitting: the z of the Mann-Kendall test."""
    overfitting_share: float = 0.05
    """Share of its progress that the eval loss must have lost, too."""
    overfitting_factor: float = 0.3
    """What the learning rate is multiplied by when an overfitting is rolled back; the next one stops the run."""
    latest_overfitting: float = 0.8
    """Share of the steps after which an overfitting is only named: little is left to learn, and the best is kept."""
    floor_trend: int = 10
    """Evaluations in a row over which a loss must stand still to lie on a floor of noise."""
    floor_share: float = 0.03
    """Noise, as a share of the progress, above which a loss that stands still lies on a floor of noise."""
    floor_factor: float = 0.3
    """What the learning rate is multiplied by to try whether the floor sinks."""
    slow_trend: int = 4
    """Evaluations in a row that show that a run falls steadily."""
    slow_evenness: float = 1.5
    """How many times its smallest the largest fall between two evaluations may be for a steady fall."""
    slow_share: float = 0.06
    """Share of the first loss below which the progress of a run that has fallen steadily from its begin is slow."""
    slow_factor: float = 5.0
    """What the learning rate is multiplied by to try whether a slow run goes faster, and again while it does."""
    slow_speed: float = 2.0
    """How many times faster the loss must fall then."""
    in_proportion: float = 0.4
    """Share of the factor by which a loss must fall faster for a still higher learning rate to be tried."""
    judge_floor_after: int = 2
    """Evaluations after which a lower learning rate is kept or taken back."""
    judge_slow_after: int = 1
    """Evaluations after which a higher learning rate is kept, and perhaps raised again, or taken back."""
    rest: int = 4
    """Evaluations after a trial that failed before the next; twice as many after each further one."""
    latest_trial: float = 0.65
    """Share of the steps after which no trial begins: in the last fifth of them it could not be taken back."""
    zero_share: float = 0.5
    """Share of the weight tensors without any gradient at which units are dead."""
    depth_ratio: float = 1e-4
    """Ratio of the gradients of the first layers to those of the last below which they vanish."""
