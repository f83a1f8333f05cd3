"""What Lightning's loggers show of a run is what its journal says, at the same steps."""

from __future__ import annotations

import pytest
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from steersman.integrations.lightning import SteersmanCallback

USE = ["multi-metric", "eval-loss", "trend-health"]
ACT = {"extends": "no-rails", "mode": "act", "use": USE, "hyperparameters": {"learning_rate": {}}, "console": False}


def shown(folder):
    """Return what TensorBoard shows of ours: (step, value) by tag."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith(("HealthCheck/", "Score/", "Tokens/"))]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def near(expected):
    return {tag: [(step, pytest.approx(value, rel=1e-6)) for step, value in points] for tag, points in expected.items()}


def written(folder):
    return (folder / "steersman" / "journal.jsonl").read_text()


def test_its_tensorboard_logger(fit, tmp_path, told_to_trackers):
    """Every scalar is in the logger's own event file, and the scores are at the ends of the three epochs."""
    trainer = fit(SteersmanCallback(ACT, folder=tmp_path), logger=TensorBoardLogger(tmp_path / "tb"))

    [file] = (tmp_path / "tb").rglob("events*")
    told = shown(file.parent)
    assert told == near(told_to_trackers(written(tmp_path)))
    assert [step for step, _ in told["Score/multi-metric"]] == [4, 8, 12]
    assert str(file.parent) == trainer.log_dir


@pytest.mark.parametrize("has_logger", [True, False])
def test_a_writer_of_our_own(fit, tmp_path, told_to_trackers, has_logger):
    """Without one, what is named goes beside the logs of the logger there is, else into the run folder."""
    logger = CSVLogger(tmp_path / "csv") if has_logger else False
    trainer = fit(SteersmanCallback({**ACT, "report_to": ["tensorboard"]}, folder=tmp_path / "run"), logger=logger)

    folder = tmp_path / "csv" / "lightning_logs" / "version_0" if has_logger else tmp_path
    assert shown(folder) == near(told_to_trackers(written(tmp_path / "run")))
    assert trainer.global_step == 12


def test_its_wandb_logger(fit, tmp_path, offline_wandb, told_to_trackers):
    """Every scalar is in the logger's run, one value of a tag at a step, and the logger's own steps are as ever."""
    logger = WandbLogger(project="a-test", offline=True, save_dir=tmp_path)
    fit(SteersmanCallback(ACT, folder=tmp_path), logger=logger)
    logger.experiment.finish()

    rows = offline_wandb()
    expected = {tag: dict(points) for tag, points in told_to_trackers(written(tmp_path)).items()}
    assert {tag: {r["steersman/step"]: r[tag] for r in rows if tag in r} for tag in expected} == expected
    theirs = [row["trainer/global_step"] for row in rows if "train_loss" in row or "val_loss" in row]
    assert theirs == [1, 3, 3, 5, 7, 7, 9, 11, 11]
    assert [row["_step"] for row in rows if "train_loss" in row or "val_loss" in row] == list(range(9))


def test_its_mlflow_logger(fit, tmp_path, local_mlflow, told_to_trackers):
    """Every scalar is in the logger's run, which is no active run of the process."""
    logger = MLFlowLogger("a-test", tracking_uri=(tmp_path / "mlruns").as_uri())
    fit(SteersmanCallback(ACT, folder=tmp_path), logger=logger)

    told = local_mlflow(logger.run_id)
    points = told_to_trackers(written(tmp_path))
    assert {*told["Score/multi-metric"]} == {*points["Score/multi-metric"]}
    assert {*told["HealthCheck/learning_rate"]} == {*points["HealthCheck/learning_rate"]}
    assert len(told["val_loss"]) == 3
