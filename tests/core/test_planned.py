import pytest
from attrs import define, field

from steersman import Finding, hookimpl, state
from steersman.config import read
from steersman.planned import plan


def planned(config, **asked):
    problems = []
    made = plan(read(config), problems, **asked)
    assert problems == []
    return made


@define(eq=False)
class Remembers:
    """Remembers what it has seen, in an option too."""

    names: list[str] = field(factory=list)
    seen: list[int] = state([])

    @hookimpl
    def diagnose(self, check):
        self.seen.append(check.step)
        self.names.append("seen")
        return Finding("seen", "it was", "info")


def test_two_runs_share_nothing():
    """Strategies of two runs are objects of their own, as they are before a run, options that can grow included."""
    made = planned({"use": [{"token-accounting": {}}, "recovery", Remembers(names=["given"])]})
    first, second = made.fresh(), made.fresh()
    assert [s.name for s in first] == ["token-accounting", "recovery", "remembers"]
    assert all(a.strategy is not b.strategy for a, b in zip(first, second, strict=True))
    first[1].strategy.since = 7
    first[2].strategy.seen.append(5)
    first[2].strategy.names.append("more")
    assert second[1].strategy.since == planned({"use": ["recovery"]}).fresh()[0].strategy.since == 0
    assert (second[2].strategy.seen, second[2].strategy.names) == ([], ["given"])
    assert (made.fresh()[2].strategy.seen, made.fresh()[2].strategy.names) == ([], ["given"])


def test_options_are_those_of_the_config():
    """Each fresh strategy has the options that the config gives it."""
    made = planned({"use": [{"trend-health": {"preset": "seed", "seed": {"high_loss": 0.9}}}]})
    (loaded,) = made.fresh()
    assert (loaded.strategy.preset, loaded.strategy.seed.high_loss) == ("seed", 0.9)


def test_hooks_are_found_once():
    """The plan knows which strategies answer a hook, in config order, and calls those of the run."""
    made = planned({"use": ["eval-loss", "multi-metric", Remembers()]})
    fresh = made.fresh()
    calls = made.hooks.calls(fresh)
    assert [call.loaded.name for call in calls["score_checkpoint"]] == ["eval-loss", "multi-metric"]
    assert calls["score_checkpoint"][0].function.__self__ is fresh[0].strategy
    assert [call.loaded.name for call in calls["diagnose"]] == ["remembers"]


def test_faults_are_told_and_nothing_is_planned():
    """A config with a fault has no plan, and every fault is told."""
    problems = []
    assert plan(read({"use": ["no-such-thing", {"multi-metric": {"gap_weight": "much"}}]}), problems) is None
    assert len(problems) == 2


@define(eq=False)
class Holds:
    """Holds what cannot be copied."""

    lines: object = None

    @hookimpl
    def diagnose(self, check):
        return None


def test_an_object_that_cannot_be_copied(tmp_path):
    """An object that cannot be made anew for each run is refused with what to do instead."""
    problems = []
    with (tmp_path / "lines").open("w") as lines:
        assert plan(read({"use": [Holds(lines)]}), problems) is None
    (problem,) = problems
    assert problem.startswith("holds: it cannot be made anew for each run (TypeError: ")
    assert "name it in the config" in problem


def test_what_acts_outside_is_left_out():
    """Without effects, a strategy that acts outside the run is not planned."""

    @define(eq=False)
    class Posts(Remembers):
        effects = True

    assert planned({"use": [Posts(), "eval-loss"]}, effects=False).fresh()[0].name == "eval-loss"
    assert len(planned({"use": [Posts(), "eval-loss"]}).fresh()) == 2


@pytest.mark.parametrize(
    "name", ["multi-metric", "eval-loss", "trend-health", "token-accounting", "recovery", "step-guard", "rl-health"]
)
def test_every_shipped_strategy_can_be_planned(name):
    """Each strategy that ships can be made anew as often as there are runs."""
    made = planned({"use": [name]})
    assert type(made.fresh()[0].strategy) is type(made.strategies[0].strategy)
