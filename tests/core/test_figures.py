import copy
import pickle

import pytest

from steersman.figures import Figures


def lazy():
    asked = []

    def work_out(name):
        asked.append(name)
        return {"loss": 1.0, "reward": None}.get(name)

    return Figures({}, lambda: ("loss",), work_out), asked


def test_worked_out_once_and_only_if_asked():
    """A figure is worked out when it is first looked at, and never again; neither is one that is not there."""
    figures, asked = lazy()
    assert len(figures) == 1
    assert asked == []
    assert (figures["loss"], figures.get("loss"), figures.get("reward"), figures.get("kl", 5.0)) == (
        1.0,
        1.0,
        None,
        5.0,
    )
    assert (figures.get("reward"), "reward" in figures, "loss" in figures) == (None, False, True)
    assert asked == ["loss", "reward", "kl"]


def test_a_table_like_any_other():
    """It equals a dict of the same figures, prints as one, is copied and pickled as one; what is not there is named."""
    figures, _ = lazy()
    assert figures == {"loss": 1.0}
    assert repr(figures) == "{'loss': 1.0}"
    assert copy.deepcopy(figures) == pickle.loads(pickle.dumps(figures)) == dict(figures)
    with pytest.raises(KeyError, match="reward"):
        figures["reward"]


def test_nobody_writes_into_it():
    """What one strategy is given is what all are given, so it cannot be written into."""
    figures, _ = lazy()
    with pytest.raises(TypeError, match="item assignment"):
        figures["loss"] = 2.0
    assert figures["loss"] == 1.0


def test_settled_figures_hold_on_to_nothing():
    """Once settled, every figure is there and nothing is asked any more."""
    figures, asked = lazy()
    figures.settle()
    assert dict(figures) == {"loss": 1.0}
    assert figures.get("reward") is None
    assert asked == ["loss"]
