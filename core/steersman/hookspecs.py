"""The contract: when each hook is called, what it receives, what it may return.

Every hook takes `run`, the read-only view of the run, and at most one value; a strategy may leave out an argument
that it does not need. Hooks return values: they never act and never touch the trainer, which is what makes a strategy
replayable over finished runs and testable without a trainer. Lower scores are better, always. No hook has a clock:
`record.elapsed` is None where the log has no time.

In the examples `Score`, `Finding`, `Adjust`, `Stop`, `Save`, `Rollback`, `StepGuard`, `Average`, `hookimpl` and `state`
come from `steersman`, and `define` from `attrs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

from steersman.decisions import Adjust, Average, Finding, Proposal, Score

if TYPE_CHECKING:
    from steersman.checkpoints import Checkpoint, Evaluation
    from steersman.checks import Check
    from steersman.journal import JournalEntry
    from steersman.records import Record
    from steersman.run import Adjustment, Run
    from steersman.snapshots import RolledBack
    from steersman.step_guard import StepGuard
    from steersman.windows import Window

hookspec = pluggy.HookspecMarker("steersman")


class Hooks:
    """Every hook a strategy may implement."""

    @hookspec
    def on_train_begin(self, run: Run) -> None:
        """Called once, before the first step, after a resumed run has given the strategy its state back.

        Receives the run: `run.mode`, `run.plan` (what is known of its length), `run.replaying`. Returns nothing.

        Example:
            @define(eq=False)
            class Greeter:
                total: int = state(0)

                @hookimpl
                def on_train_begin(self, run):
                    self.total = run.plan.total_steps or 0
        """

    @hookspec
    def guard_steps(self, run: Run) -> StepGuard | None:
        """Ask for a guard of each optimizer step, on the gradient it is about to use.

        Called once, after `on_train_begin`.

        Receives the run. Returns a StepGuard (which norms are clipped, which steps are skipped), or None for no
        opinion: the guard of the first strategy in config order with one is in force, in mode `act`; in `advise` and
        `ask` it only counts what it would do. The metrics of the training logs tell of it: `steps_skipped` and
        `steps_clipped` since the log before, `gradient_zero_share` and `gradient_depth_ratio`.

        Example:
            @define(eq=False)
            class ClipAtOne:
                norm: float = 1.0

                @hookimpl
                def guard_steps(self, run):
                    return StepGuard(clip=self.norm)
        """

    @hookspec
    def on_train_end(self, run: Run) -> None:
        """Called once, after the last check. Not called when the process is killed.

        Receives the run. Returns nothing.

        Example:
            @define(eq=False)
            class LastStep:
                step: int = state(0)

                @hookimpl
                def on_train_end(self, run):
                    self.step = run.step
        """

    @hookspec
    def on_log(self, run: Run, log: Record) -> None:
        """Called for each training log and for the final summary, after its metrics entered `run.history`.

        Receives the record: `log.step`, `log.metrics` (numbers only, NaN included), `log.epoch`, `log.usage`,
        `log.kind`. It may be called more than once at a step. Returns nothing.

        Example:
            @define(eq=False)
            class LargestGradient:
                largest: float = state(0.0)

                @hookimpl
                def on_log(self, run, log):
                    self.largest = max(self.largest, log.metrics.get("grad_norm", 0.0))
        """

    @hookspec
    def on_eval(self, run: Run, evaluation: Evaluation) -> None:
        """Called once for each step that was evaluated, when all its evaluation sets have arrived.

        Receives the evaluation: `evaluation.metrics` of all sets, `eval_loss` filled in from the first set where no
        set has that name. Called before `score_checkpoint` of the same step. Returns nothing.

        Example:
            @define(eq=False)
            class CountEvaluations:
                seen: int = state(0)

                @hookimpl
                def on_eval(self, run, evaluation):
                    self.seen += 1
        """

    @hookspec
    def on_epoch_end(self, run: Run, window: Window) -> None:
        """Called when a step is settled whose epoch is the first to have reached the next whole number.

        Receives the window of that epoch: `window.mean("loss")`, weighted by the steps each log covers. A partial last
        epoch does not end. Returns nothing.

        Example:
            @define(eq=False)
            class EpochLosses:
                losses: list[float] = state([])

                @hookimpl
                def on_epoch_end(self, run, window):
                    self.losses = [*self.losses, window.mean("loss") or 0.0][-10:]
        """

    @hookspec
    def score_checkpoint(self, run: Run, checkpoint: Checkpoint) -> Score | None:
        """Say how good a checkpoint is. Called at each evaluation, for every scorer; each has a ranking of its own.

        Receives the checkpoint: `checkpoint.metrics`, and `checkpoint.train_loss` (value, source, age in steps) or
        None.
        Returns a Score (lower is better), `Score.higher(x)` for what is better when higher, `Score.reject(reason)` for
        never best, or None for no opinion: *the* score is that of the first strategy in config order with one.
        A strategy that sets `scores_late: ClassVar[bool] = True`, as its score depends on the metrics alone, is asked
        again when a metric comes late (`steersman record`).

        Example:
            @define(eq=False)
            class Accuracy:
                metric: str = "eval_accuracy"

                @hookimpl
                def score_checkpoint(self, run, checkpoint):
                    accuracy = checkpoint.metrics.get(self.metric)
                    return None if accuracy is None else Score.higher(accuracy)
        """

    @hookspec
    def on_checkpoint_scored(self, run: Run, checkpoint: Checkpoint) -> None:
        """Called after every scorer was asked.

        Receives the checkpoint with its `scores` by strategy, `score` and `scorer`. Returns nothing.

        Example:
            @define(eq=False)
            class BestStep:
                step: int = state(-1)

                @hookimpl
                def on_checkpoint_scored(self, run, checkpoint):
                    self.step = run.best.step if run.best else -1
        """

    @hookspec
    def on_checkpoint_saved(self, run: Run, checkpoint: Checkpoint) -> None:
        """Called when a checkpoint directory was written. Evaluated and saved are different facts.

        Receives the checkpoint with its `path`; its `metrics` are empty where it was not evaluated. Returns nothing.

        Example:
            @define(eq=False)
            class LastPath:
                path: str = state("")

                @hookimpl
                def on_checkpoint_saved(self, run, checkpoint):
                    self.path = checkpoint.path or ""
        """

    @hookspec
    def diagnose(self, run: Run, check: Check) -> Iterable[Finding] | Finding | None:
        """Say what is wrong, or worth knowing. Called at each health check.

        Receives the check: `check.window` (None at an end without a partial window), `check.windows`, `check.reason`.
        Returns Findings, one or several, or None.

        Example:
            @define(eq=False)
            class LossIsNaN:
                @hookimpl
                def diagnose(self, run, check):
                    if check.window and check.window.has_diverged("loss"):
                        return Finding("loss-is-nan", "every loss of the window is NaN", severity="critical")
        """

    @hookspec
    def propose_adjustments(self, run: Run, check: Check) -> Iterable[Proposal | Finding] | Proposal | Finding | None:
        """Say what should be done. Called at each health check but the last, after every strategy diagnosed.

        Receives the check: `check.findings` are this strategy's own, `check.all_findings` everybody's as pairs of the
        strategy's name and the finding. Returns any of Adjust, Stop, Save, Rollback and Finding, one or several, or
        None. The arbiter rules on what is returned.

        Example:
            @define(eq=False)
            class HalveOnNaN:
                @hookimpl
                def propose_adjustments(self, run, check):
                    if check.window and check.window.nonfinite.get("grad_norm"):
                        yield Adjust("learning_rate", scale=0.5, at_least=1e-7, because="a gradient norm is NaN")
        """

    @hookspec
    def veto_adjustment(self, run: Run, adjustment: Adjust) -> str | None:
        """Object to a change that won arbitration, before it is made.

        Called in `act`, and in `ask` for what a person approved; in both for what Steersman itself undoes or releases.
        Receives the Adjust. Returns the reason as a sentence, or None.

        Example:
            @define(eq=False)
            class HandsOffClip:
                @hookimpl
                def veto_adjustment(self, run, adjustment):
                    if adjustment.hyperparameter == "max_grad_norm":
                        return "our clip is a matter of policy"
        """

    @hookspec
    def on_adjusted(self, run: Run, adjustment: Adjustment) -> None:
        """Called after a change was made and read back.

        Receives the change: `old`, `new`, `read_back`, `strategy`, `because`. Returns nothing.

        Example:
            @define(eq=False)
            class CountChanges:
                changes: int = state(0)

                @hookimpl
                def on_adjusted(self, run, adjustment):
                    self.changes += 1
        """

    @hookspec
    def on_rolled_back(self, run: Run, rollback: RolledBack) -> None:
        """Called after weights and optimizer went back to the last healthy state, as a Rollback had proposed.

        Receives the rollback: `step`, `to_step` (whose state is in force again), `strategy` and `because` of the
        proposal, `left` (how many a run may still have). Returns nothing.

        Example:
            @define(eq=False)
            class CountRollbacks:
                rollbacks: int = state(0)

                @hookimpl
                def on_rolled_back(self, run, rollback):
                    self.rollbacks += 1
        """

    @hookspec
    def propose_averages(self, run: Run) -> Iterable[Average] | Average | None:
        """Name saved checkpoints whose mean is worth a try as one more candidate for the best.

        Called once, after the last check and before `on_train_end`; in a replay too.
        Receives the run: `run.saved` are the checkpoints that are there, by step; `run.ranked` those that may be best,
        best first. Returns Averages, one or several, or None. In `act` each is made, evaluated by the user's own
        evaluation and ranked with the rest, where the trainer allows it; else it is only told. With a
        `leeway` one may be best though its eval loss is a little higher: see `steersman.Average`.

        Example:
            @define(eq=False)
            class LastThree:
                @hookimpl
                def propose_averages(self, run):
                    return Average(sorted(run.saved)[-3:]) if len(run.saved) >= 3 else None
        """

    @hookspec
    def on_journaled(self, run: Run, entry: JournalEntry) -> None:
        """Called for every journal line: the one place for effects, such as a message. Not called in replay.

        Receives the entry: `entry.kind`, `entry.step`, `entry.data`. Returns nothing.

        Example:
            @define(eq=False)
            class KindsSeen:
                kinds: list[str] = state([])

                @hookimpl
                def on_journaled(self, run, entry):
                    self.kinds = sorted({*self.kinds, entry.kind})
        """


HOOKS: dict[str, tuple[str, ...]] = {
    name: member.__code__.co_varnames[1 : member.__code__.co_argcount]
    for name, member in vars(Hooks).items()
    if not name.startswith("_")
}
"""Every hook with its argument names."""
