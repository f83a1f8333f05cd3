import math
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman import Record
from steersman.tables import Table
from steersman.windows import Windows, anomalies


def windows_of(*logs, start=0):
    windows = Windows()
    windows.start(start)
    for step, metrics in logs:
        windows.add(Record(step, "train", metrics))
    return windows


def test_means_of_uneven_logs():
    """Logs at steps 10, 15 and 40 cover 10, 5 and 25 steps: the mean of 1, 2 and 4 is 3, their variance 1.75."""
    window = windows_of((10, {"loss": 1.0}), (15, {"loss": 2.0}), (40, {"loss": 4.0})).close_check(40)
    assert window.mean("loss") == pytest.approx((10 * 1 + 5 * 2 + 25 * 4) / 40)
    assert window.mean("loss") == pytest.approx(3.0)
    assert window.variances["loss"] == pytest.approx((10 * 4 + 5 * 1 + 25 * 1) / 40)
    assert (window.first_step, window.last_step, window.logs) == (0, 40, 3)


uneven = st.lists(st.tuples(st.integers(1, 500), st.floats(-1e6, 1e6)), min_size=1, max_size=40)


@given(uneven)
def test_means_equal_a_direct_weighted_mean(logs):
    """For logs at any distances, mean and population variance are those of the values weighted by the steps covered."""
    windows, step = windows_of(), 0
    for covered, value in logs:
        step += covered
        windows.add(Record(step, "train", {"loss": value}))
    window = windows.close_check(step)
    weight = sum(covered for covered, _ in logs)
    mean = math.fsum(covered * value for covered, value in logs) / weight
    variance = math.fsum(covered * (value - mean) ** 2 for covered, value in logs) / weight
    assert window.mean("loss") == pytest.approx(mean, rel=1e-9, abs=1e-6)
    assert window.variances["loss"] == pytest.approx(variance, rel=1e-6, abs=1e-3)


def test_nan_is_left_out_and_counted():
    """A mean leaves NaN and infinity out and counts them; the other logs keep their own weights."""
    logs = [(10, {"loss": 1.0}), (20, {"loss": math.nan}), (50, {"loss": 3.0}), (60, {"loss": math.inf})]
    window = windows_of(*logs).close_check(60)
    assert window.mean("loss") == pytest.approx((10 * 1 + 30 * 3) / 40)
    assert window.nonfinite == {"loss": 2}
    assert not window.has_diverged("loss")


def test_nothing_but_nan_is_divergence():
    """A metric that was never finite has diverged; one that never came has not, and neither has a mean."""
    window = windows_of((10, {"loss": math.nan}), (20, {"loss": math.inf})).close_check(20)
    assert window.has_diverged("loss")
    assert not window.has_diverged("reward")
    assert window.mean("loss") is None
    assert window.mean("reward") is None


def test_reward_variance_of_batches():
    """Batches with means 0.2 and 0.4 and deviations 0.1 and 0.3: 0.05 within plus 0.01 between is 0.06."""
    logs = [(1, {"reward": 0.2, "reward_std": 0.1}), (2, {"reward": 0.4, "reward_std": 0.3})]
    assert windows_of(*logs).close_check(2).reward_variance == pytest.approx(0.06)


def test_reward_variance_of_single_rewards():
    """Without a deviation it is the population variance of the rewards: of 0.1, 0.2 and 0.6, 0.14 / 3."""
    logs = [(1, {"reward": 0.1}), (2, {"reward": 0.2}), (3, {"reward": 0.6})]
    assert windows_of(*logs).close_check(3).reward_variance == pytest.approx(0.14 / 3)


def test_no_reward_no_variance():
    """A run without rewards has no reward variance."""
    assert windows_of((1, {"loss": 1.0})).close_check(1).reward_variance is None


def test_a_record_belongs_to_the_window_of_its_step():
    """A log that reaches back over a window's border counts whole in its own window."""
    windows = windows_of((10, {"loss": 1.0}))
    first = windows.close_check(15)
    windows.add(Record(30, "train", {"loss": 5.0}))
    windows.add(Record(40, "train", {"loss": 2.0}))
    second = windows.close_check(40)
    assert (first.first_step, first.last_step, first.mean("loss")) == (0, 15, 1.0)
    assert (second.first_step, second.last_step) == (15, 40)
    assert second.mean("loss") == pytest.approx((20 * 5 + 10 * 2) / 30)


def test_an_evaluation_covers_no_steps():
    """An evaluation between two logs does not shorten what the second one covers."""
    windows = windows_of((10, {"loss": 1.0}))
    windows.add(Record(28, "eval", {"eval_loss": 9.0}))
    windows.add(Record(30, "train", {"loss": 4.0}))
    window = windows.close_check(30)
    assert window.mean("loss") == pytest.approx((10 * 1 + 20 * 4) / 30)
    assert window.mean("eval_loss") == 9.0


def test_check_and_epoch_windows_are_apart():
    """Closing the check window leaves the epoch's open."""
    windows = windows_of((10, {"loss": 1.0}))
    windows.close_check(10)
    windows.add(Record(20, "train", {"loss": 3.0}, 1.0))
    epoch = windows.close_epoch(20)
    assert (epoch.first_step, epoch.last_step, epoch.epoch, epoch.logs) == (0, 20, 1.0, 2)
    assert epoch.mean("loss") == pytest.approx(2.0)
    assert windows.close_check(20).mean("loss") == 3.0


def test_a_run_that_starts_later():
    """The first log of a run that starts at step 100 covers the steps since then."""
    window = windows_of((110, {"loss": 1.0}), (140, {"loss": 2.0}), start=100).close_check(140)
    assert window.first_step == 100
    assert window.mean("loss") == pytest.approx((10 * 1 + 30 * 2) / 40)


def test_an_empty_window():
    """A window without a log has no means."""
    window = windows_of().close_check(5)
    assert (window.logs, window.means, window.first_step, window.last_step) == (0, {}, 0, 5)


def test_closed_windows_are_bounded():
    """A run of any length keeps its newest 512 windows."""
    windows = windows_of()
    for step in range(1, 601):
        windows.close_check(step)
    assert [windows.closed[0].last_step, windows.closed[-1].last_step, len(windows.closed)] == [89, 600, 512]


def test_a_partial_window_says_so():
    """The last window of a run is marked as partial where it was cut short."""
    window = windows_of((10, {"loss": 1.0})).check.close(is_partial=True)
    assert window.is_partial
    assert not windows_of().close_check(1).is_partial


def test_anomalies_are_of_watched_metrics():
    """A loss or gradient norm that is not finite is an anomaly; another metric's NaN is not."""
    record = Record(1, "train", {"loss": math.nan, "grad_norm": math.inf, "eval_loss": 1.0, "kl": math.nan})
    assert anomalies(record) == ("loss", "grad_norm")


def test_a_reward_deviation_beyond_all_measure():
    """A deviation whose square is no float makes an infinite variance, not an error in the training loop."""
    window = windows_of((1, {"reward": 0.0, "reward_std": 1e200})).close_check(1)
    assert window.reward_variance == math.inf


def test_one_window_for_check_and_epoch():
    """Where an epoch ends at the very step of a check, and the one before did too, both are told of one window."""
    windows = windows_of((10, {"loss": 1.0}), (20, {"loss": 3.0}))
    epoch = windows.close_epoch(20)
    assert windows.close_check(20) is epoch
    windows.add(Record(30, "train", {"loss": 5.0}))
    assert windows.close_check(30).mean("loss") == 5.0
    windows.add(Record(40, "train", {"loss": 7.0}))
    epoch, check = windows.close_epoch(40), windows.close_check(40)
    assert (epoch.first_step, epoch.mean("loss"), check.first_step, check.mean("loss")) == (20, 6.0, 30, 7.0)
    windows.add(Record(50, "train", {"loss": 9.0}))
    assert windows.close_epoch(50) is windows.close_check(50)


def test_a_check_window_goes_on_after_the_epoch_it_held():
    """An epoch that ends before the check leaves the check its logs; a rollback after it takes these away."""
    windows = windows_of((10, {"loss": 1.0}))
    assert windows.close_epoch(10).mean("loss") == 1.0
    windows.add(Record(20, "train", {"loss": 3.0}))
    check, epoch = windows.close_check(20), windows.close_epoch(20)
    assert (check.logs, check.mean("loss"), epoch.logs, epoch.mean("loss")) == (2, 2.0, 1, 3.0)
    windows.add(Record(30, "train", {"loss": 4.0}))
    assert windows.close_epoch(30).logs == 1
    windows.drop_open(30)
    assert windows.close_check(30).logs == 0


@pytest.mark.parametrize("together", [False, True])
def test_a_log_that_spans_a_restart_is_left_out(together):
    """After a restart at 15 the log of steps 11 to 20 holds both sides: the window has that of 30, the epoch has all."""
    windows = windows_of((10, {"loss": 1.0}))
    windows.close_check(15)
    windows.restart(15)
    later = Table("train", array("q", (20, 30)), {"loss": array("d", (5.0, 2.0))})
    if together:
        windows.extend(later, 0, 2)
    else:
        for row in (0, 1):
            windows.add(later.record(row))
    check, epoch = windows.close_check(30), windows.close_epoch(30)
    assert (check.first_step, check.logs, check.mean("loss")) == (15, 1, 2.0)
    assert (epoch.first_step, epoch.logs, epoch.mean("loss")) == (0, 3, pytest.approx(8 / 3))
    assert windows.closed == (check,)


def test_a_log_that_begins_with_a_restart_is_kept():
    """After a restart at step 10, where a log ended, the log of steps 11 to 20 is of the time after."""
    windows = windows_of((10, {"loss": 1.0}))
    windows.restart(10)
    windows.add(Record(20, "train", {"loss": 5.0}))
    assert windows.close_check(20).mean("loss") == 5.0
