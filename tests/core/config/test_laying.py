import pytest

from steersman import ConfigError
from steersman.config import read


def problems_of(source):
    with pytest.raises(ConfigError) as caught:
        read(source, environment={})
    return list(caught.value.problems)


def names(source, **environment):
    return [use.name for use in read(source, environment=environment).use]


def test_without():
    """`without` switches off strategies that the default names, and leaves the others in their order."""
    off = ["token-accounting", "rl-health"]
    assert set(off) < set(names({}))
    assert names({"without": off}) == [name for name in names({}) if name not in off]


def test_without_nothing():
    """An empty `without` switches nothing off."""
    assert names({"without": []}) == names({})


def test_without_over_several_levels(write):
    """Each config switches off what lies below it; what is off stays off above, unless `use` names it again."""
    write("org.yaml", "use: [eval-loss, trend-health, multi-metric as mine, token-accounting]\n")
    write("team.yaml", "extends: org.yaml\nwithout: [token-accounting]\n")
    mine = write("steersman.yaml", "extends: team.yaml\nwithout: [mine]\n")
    again = write("again.yaml", "extends: team.yaml\nuse: [token-accounting]\n")
    assert names(mine) == ["eval-loss", "trend-health"]
    assert names(again) == ["token-accounting"]


def test_without_what_another_parent_replaced(write):
    """A parent that is sound by itself is sound beside another that names other strategies."""
    write("few.yaml", "use: [eval-loss]\n")
    write("cheap.yaml", "without: [token-accounting]\n")
    assert names(write("steersman.yaml", "extends: [few.yaml, cheap.yaml]\n")) == ["eval-loss"]


def test_without_names_in_the_run(write):
    """A strategy with a name of its own is switched off by it, an in-house one by its class."""
    write("base.yaml", "use: [multi-metric as plain, multi-metric, {./hooks/quota.py:Quota: {hours: 3}}]\n")
    path = write("steersman.yaml", "extends: base.yaml\nwithout: [plain, Quota]\n")
    assert names(path) == ["multi-metric"]


def test_without_score(write):
    """`score` is switched off as the strategy that it is."""
    write("base.yaml", "score: {eval_a_loss: 1}\nuse: [eval-loss]\n")
    config = read(write("steersman.yaml", "extends: base.yaml\nwithout: [score]\n"), environment={})
    assert [use.name for use in config.use] == ["eval-loss"]
    assert "score" not in config.raw


def test_without_is_done_once():
    """What is kept for the journal names the strategies that are left, and no `without`."""
    config = read({"without": ["token-accounting", "rl-health", "recovery", "step-guard", "averaged"]}, environment={})
    assert config.raw == {"extends": [], "use": ["eval-loss", {"trend-health": {"preset": "guarded"}}]}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            {"without": ["token-acounting"]},
            "$.without[0]: no config that this one extends names a strategy 'token-acounting', "
            "did you mean 'token-accounting'?",
        ),
        (
            {"extends": [], "without": ["eval-loss"]},
            "$.without[0]: no config that this one extends names a strategy 'eval-loss'; there are none",
        ),
        (
            {"use": ["eval-loss"], "without": ["trend-health", "eval-loss"]},
            "$.without[1]: 'eval-loss' is under `use` of the same config; leave one of the two out",
        ),
        (
            {"score": {"eval_a_loss": 1}, "without": ["score"]},
            "$.without[0]: 'score' is under `use` of the same config; leave one of the two out",
        ),
        ({"without": "eval-loss"}, "$.without: expected a list of names of strategies, got 'eval-loss'"),
        ({"without": None}, "$.without: expected a list of names of strategies, got None"),
        ({"without": [3]}, "$.without[0]: expected the name of a strategy, got 3"),
        ({"without": [["eval-loss"]]}, "$.without[0]: expected the name of a strategy, got ['eval-loss']"),
    ],
)
def test_a_without_that_cannot_be_meant(raw, expected):
    """Each way in which `without` can be wrong is one sentence with its path."""
    assert problems_of(raw) == [expected]


def test_a_without_of_a_parent_that_is_wrong(write):
    """A wrong `without` is told of the file it is in."""
    base = write("base.yaml", "without: [nobody]\n")
    [problem] = problems_of(write("steersman.yaml", "extends: base.yaml\n"))
    assert problem.startswith(
        f"{base}: $.without[0]: no config that this one extends names a strategy 'nobody'; there "
    )


def test_an_owner_that_was_switched_off():
    """A hyperparameter whose owner is switched off would never be changed: that is told."""
    [problem] = problems_of(
        {"without": ["trend-health"], "hyperparameters": {"learning_rate": {"owner": "trend-health"}}}
    )
    assert problem.startswith("$.hyperparameters.learning_rate.owner: `use` names no strategy 'trend-health'")
