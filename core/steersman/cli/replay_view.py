"""What is told of a replayed run, as plain values and sentences: nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from attrs import frozen

from steersman import recurring
from steersman.arbiter import Ruling
from steersman.checkpoints import Checkpoint, TrainLoss, first_eval_loss
from steersman.decisions import Score
from steersman.hindsight import Comparison, compare, count, figure, listed, rival_of
from steersman.ranking import Ranking
from steersman.replaying import Replay
from steersman.results.run import LAST, LOWEST_EVAL_LOSS, ReplayedRun
from steersman.schedule import cadence

NOT_PREDICTED = (
    "Nothing was changed: this run is over. A change that was never made would have changed every metric after it; "
    "those are not predicted, here or anywhere."
)
_NAMED, _METRICS = 5, 12
_EXAMPLE = {"max_grad_norm": "1.0", "learning_rate": "2e-5", "kl_penalty": "0.1", "temperature": "1.0"}


@frozen
class View:
    """A replay, what it tells as plain values, and the values that were given by hand."""

    replay: Replay
    run: ReplayedRun
    given: Mapping[str, float]

    @property
    def ranking(self) -> Ranking:
        """The ranking that the replay makes."""
        return self.replay.ranking


@frozen
class Row:
    """One line of the table of choices; a cell is empty where the figure is not known."""

    who: str
    step: int
    score: str
    eval_loss: str
    train_loss: str
    directory: str


def what_was_read(view: View) -> tuple[str, ...]:
    """Return what was read and how it was looked at."""
    replay, recording = view.replay, view.replay.recording
    records, settings = recording.records, replay.config
    trained = count(sum(record.kind == "train" for record in records), "training log")
    evaluated = count(replay.summary["evaluations"], "evaluation")
    last = max((record.step for record in records), default=0)
    source = "none given, so the defaults" if settings.source == "no config" else settings.source
    asked = listed([use.name for use in settings.use if use.name not in replay.left_out]) or "no strategy"
    said = [
        f"{count(len(records), 'record')} ({recording.format}) up to step {last}: {trained} and {evaluated}.",
        f"Config: {source}; mode {settings.mode}. Asked in this order: {asked}.",
        _values(view),
        *recording.notes,
    ]
    if replay.left_out:
        names = listed(list(replay.left_out))
        said.insert(2, f"Left out, because they act outside the run: {names}; --effects asks them.")
    stand_in = _stand_in(view)
    if stand_in not in (None, "eval_loss"):
        said.append(f"No metric is called eval_loss; {stand_in} stands in for it.")
    if recording.supervised:
        said.append(
            "Steersman was attached to this run: the log holds the changes it made then, and `steersman explain` "
            "tells of those."
        )
    return tuple(said)


def _stand_in(view: View) -> str | None:
    names = view.replay.config.metrics
    evaluations = (record.metrics for record in view.replay.recording.records if record.kind == "eval")
    return first_eval_loss({names.get(name, name): value for each in evaluations for name, value in each.items()})


def _values(view: View) -> str:
    recording = view.replay.recording
    logged = any("learning_rate" in record.metrics for record in recording.records)
    known = {**dict.fromkeys(recording.values, "from the run"), **({"learning_rate": "from the log"} if logged else {})}
    known |= {name: f"{value:g}, given" for name, value in view.given.items()}
    told = listed([f"{name} ({where})" for name, where in known.items()]) or "none"
    absent = next((name for name in _EXAMPLE if name not in known), None)
    hint = f" What the log does not hold can be given: --set {absent}={_EXAMPLE[absent]}." if absent else ""
    return f"Hyperparameters known: {told}.{hint}"


def choice_rows(view: View) -> tuple[Row, ...]:
    """Return a row for the best of each scorer, the lowest eval loss and the last evaluation."""
    ranking, leader = view.ranking, view.ranking.leader
    rows: list[tuple[str, str | None, Checkpoint | None]]
    rows = [(f"{name}'s best", name, ranking.best(name)) for name in ranking.order]
    evaluated = [c for c in ranking.all() if not c.is_baseline]
    rows += [
        (LOWEST_EVAL_LOSS, leader, ranking.lowest_loss),
        (LAST, leader, next(iter(evaluated[-1:]), None)),
    ]
    return tuple(_row(who, scorer or "", checkpoint) for who, scorer, checkpoint in rows if checkpoint is not None)


def _row(who: str, scorer: str, checkpoint: Checkpoint) -> Row:
    score = checkpoint.scores.get(scorer)
    loss = checkpoint.metrics.get("eval_loss")
    return Row(
        who,
        checkpoint.step,
        _told(score) if score is not None else "none",
        f"{figure(loss)}" if loss is not None else "none",
        train_loss_told(checkpoint.train_loss),
        Path(checkpoint.path).name if checkpoint.path else "not on disk",
    )


def _told(score: Score) -> str:
    return "rejected" if score.rejected is not None else f"{figure(score.value)}"


def train_loss_told(loss: TrainLoss | None) -> str:
    """Return a train loss with where it came from and how old it is."""
    if loss is None:
        return "not logged yet"
    if loss.source == "same event":
        return f"{figure(loss.value)}, with the evaluation"
    return f"{figure(loss.value)}, " + (f"{count(loss.age_steps, 'step')} old" if loss.age_steps else "same step")


def disagreement(view: View) -> Comparison | None:
    """Return the best of the first scorer against the lowest eval loss where they are different checkpoints."""
    ranking, leader = view.ranking, view.ranking.leader
    best, rival = ranking.best(), rival_of(ranking)
    if leader is None or best is None or rival is None or rival is not ranking.lowest_loss:
        return None
    return compare(leader, best, rival)


def on_the_task(view: View) -> tuple[tuple[str, ...], ...]:
    """Return a row for each task metric: its name with which way it is better, each choice's value, the best of all."""
    return tuple(
        (
            f"{metric.name} ({'higher' if metric.higher_is_better else 'lower'} is better)",
            *(f"{figure(metric.at[who])}" if who in metric.at else "none" for who in choosers(view)),
            f"{figure(metric.best)}",
        )
        for metric in view.run.task_metrics[:_METRICS]
    )


def choosers(view: View) -> tuple[str, ...]:
    """Return everybody who keeps a checkpoint: each scorer, the lowest eval loss and the last evaluation."""
    return (*view.run.choices, LOWEST_EVAL_LOSS, LAST)


def unknown_direction(view: View) -> tuple[str, ...]:
    """Return what is said of metrics that may be of the task and whose direction nobody said."""
    names, more = view.run.unknown_direction, len(view.run.task_metrics) - _METRICS
    left = (f"{count(more, 'more metric')} of the task: --json has them.",) if more > 0 else ()
    shown = listed([*names[:_NAMED], *([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])])
    way = "--task-metric NAME:higher or NAME:lower"
    return (*((f"Which way {shown} is better is not known; {way} tells.",) if names else ()), *left)


def alarm_rate(view: View) -> tuple[str, ...]:
    """Return how often there was an alarm, where there was one."""
    run, rate = view.run, view.run.alarms_per_thousand_steps
    return (f"{count(run.alarms, 'alarm')}: {rate:.2f} per thousand steps.",) if run.alarms and rate is not None else ()


def stops(view: View) -> tuple[str, ...]:
    """Return what the first stop of each strategy would have come to."""
    recording = view.replay.recording
    was_stopped = recording.supervised and view.run.last_step < (recording.plan.total_steps or 0)
    saved = "were saved" if was_stopped else "would have been saved"
    return tuple(
        f"{stop.strategy} asks for a stop at step {stop.step}: {count(stop.steps_saved, 'step')} {saved}"
        + (f", and the best checkpoint, step {stop.better_after}, given up." if stop.better_after is not None else ".")
        for stop in view.run.stops
    )


def when_healthy(view: View) -> str:
    """Return what is said where no finding was made: how many health checks looked."""
    checks = sum(entry.data["reason"] == "scheduled" for entry in view.replay.of("check"))
    every = cadence(view.replay.config.check_every, view.replay.recording.plan)
    if not checks:
        return f"No health check fell due in this run: they come {every}, as `check_every` says."
    return f"Nothing, in {count(checks, 'health check')}: {every}."


def noticed(view: View) -> tuple[tuple[str, str], ...]:
    """Return (severity, sentence) for each finding; one that recurs is told once."""
    return tuple(
        (
            g.first.data["severity"],
            f"{g.first.data['name']} by {g.first.data['strategy']}, {g.where}: {g.of('message')}",
        )
        for g in recurring.findings(view.replay.entries)
    )


def proposed(view: View) -> tuple[str, ...]:
    """Return a sentence for each proposal with its verdict and reason; one that recurs is told once."""
    made = view.replay.of("proposal")
    unknown = {f"--set {e.data['hyperparameter']}=VALUE": None for e in made if e.data["verdict"] == "unknown"}
    hint = (f"A value that is not in the log can be given: {' '.join(unknown)}.",) if unknown else ()
    on_paper = ("Applied is meant on paper: the value was changed in this replay, as it would have been live.",)
    applied = any(e.data["verdict"] == "applied" for e in made)
    return (*(on_paper if applied else ()), *recurring.proposals_told(made, get_args(Ruling)), *hint)


def never_came(view: View) -> tuple[str, ...]:
    """Return a sentence for each metric that was asked for and never came."""
    return tuple(
        f"{name} was asked for and is not in this log" + (f"; the nearest that is: {near}" if near else "")
        for name, near in view.replay.summary["never_came"].items()
    )
