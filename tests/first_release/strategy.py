"""A strategy written against the contract of the first release, 0.1. It is never edited: every later release loads it."""

from typing import Literal

from attrs import define, field

from steersman import Adjust, Finding, Rollback, Save, Score, Stop, hookimpl, state


@define(eq=False)
class FirstRelease:
    """Implements every hook of 0.1 under its argument names of 0.1, with options and state of every kind."""

    metric: str = "eval_loss"
    factor: float = 0.5
    every: int = 20
    direction: Literal["lower", "higher"] = "lower"
    bounds: dict[str, float] = field(factory=dict)

    calls: dict[str, int] = state({})
    losses: list[float] = state([])
    best: float | None = state(None)

    def _count(self, hook):
        self.calls[hook] = self.calls.get(hook, 0) + 1

    @hookimpl
    def on_train_begin(self, run):
        self._count("on_train_begin")
        assert run.mode in ("observe", "advise", "ask", "act")
        assert run.plan.total_steps == 40

    @hookimpl
    def on_train_end(self, run):
        self._count("on_train_end")

    @hookimpl
    def on_log(self, run, log):
        self._count("on_log")
        assert log.kind in ("train", "summary")
        self.losses = [*self.losses, log.metrics["loss"]][-8:]

    @hookimpl
    def on_eval(self, run, evaluation):
        self._count("on_eval")
        assert evaluation.metrics[self.metric] == run.history[self.metric].latest

    @hookimpl
    def on_epoch_end(self, run, window):
        self._count("on_epoch_end")
        assert window.mean("loss") is not None

    @hookimpl
    def score_checkpoint(self, run, checkpoint):
        self._count("score_checkpoint")
        value = checkpoint.metrics.get(self.metric)
        if value is None:
            return None
        if value > 100:
            return Score.reject("far too high")
        train = checkpoint.train_loss
        assert train is None or (train.source in ("same event", "recent") and train.age_steps >= 0)
        terms = {self.metric: value}
        return Score(value, terms, because="as it is") if self.direction == "lower" else Score.higher(value, terms)

    @hookimpl
    def on_checkpoint_scored(self, run, checkpoint):
        self._count("on_checkpoint_scored")
        self.best = run.best.score.value if run.best else None

    @hookimpl
    def on_checkpoint_saved(self, run, checkpoint):
        self._count("on_checkpoint_saved")
        assert checkpoint.path

    @hookimpl
    def diagnose(self, run, check):
        self._count("diagnose")
        if check.window and not check.window.has_diverged("loss"):
            yield Finding("seen", f"step {check.step}", severity="info", evidence={"loss": check.window.mean("loss")})

    @hookimpl
    def propose_adjustments(self, run, check):
        self._count("propose_adjustments")
        assert [finding.name for finding in check.findings] == ["seen"]
        assert ("first", check.findings[0]) in check.all_findings
        if check.step % self.every == 0:
            yield Adjust("learning_rate", scale=self.factor, at_least=1e-9, because="the first release says so")
            yield Save("the first release says so")
        if run.history["loss"].finite().last(3) == (0.0, 0.0, 0.0):
            yield Rollback("dead")
            yield Stop("dead")

    @hookimpl
    def veto_adjustment(self, run, adjustment):
        self._count("veto_adjustment")
        return "not the clip" if adjustment.hyperparameter == "max_grad_norm" else None

    @hookimpl
    def on_adjusted(self, run, adjustment):
        self._count("on_adjusted")
        assert adjustment.new == adjustment.read_back
        assert run.hyperparameters["learning_rate"].value == adjustment.new

    @hookimpl
    def on_rolled_back(self, run, rollback):
        self._count("on_rolled_back")

    @hookimpl
    def on_journaled(self, run, entry):
        assert isinstance(entry.kind, str) and isinstance(entry.step, int)
