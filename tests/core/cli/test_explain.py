"""`steersman explain`: the story a journal tells, over a run whose figures are computed by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from attrs import define

from steersman import Finding, RunPlan, hookimpl
from steersman.journal import Journal
from steersman_plugins.eval_loss import EvalLoss
from steersman_plugins.multi_metric import MultiMetric
from steersman_plugins.trend_health import TrendHealth


@define(eq=False)
class Broken:
    """Fails at the second check, and only then."""

    @hookimpl
    def diagnose(self, check) -> Finding | None:
        if check.step == 20:
            raise RuntimeError("out of ideas")
        return None


@pytest.fixture
def run(supervise, tmp_path):
    """Supervise forty steps into a journal on disk and return the run directory.

    The losses make step 10 the best of multi-metric (0.566601, 0.843515, 0.710475) and step 30 the lowest eval loss;
    the spike at step 20 cuts the learning rate from 0.01 to 0.008. Only step 30 is saved.
    """

    def build(*, ends: bool = True, mode: str = "act", saved_in: Path | None = None) -> Path:
        journal = Journal(tmp_path / "out" / "steersman" / "journal.jsonl")
        journal.open()
        strategies = (MultiMetric(), EvalLoss(), TrendHealth(preset="seed"), Broken())
        config = {"mode": mode, "hyperparameters": {"learning_rate": {"min": 0.001}}}
        plan = RunPlan(total_steps=40, evaluates=True)
        values = {"learning_rate": 0.01}
        run = supervise(*strategies, config=config, plan=plan, values=values, journal=journal, begin=False)
        journal.write("run", 0, **BEGIN, mode=mode)
        run.supervisor.begin()
        for step, loss, eval_loss in ((10, 1.0, 1.2), (20, 1.5, 1.6), (30, 0.2, 1.1)):
            run.train(step, loss=loss)
            run.evaluate(step, eval_loss=eval_loss)
        folder = saved_in or tmp_path / "out"
        (tmp_path / "out" / "checkpoint-30").mkdir()
        (tmp_path / "out" / "checkpoint-30" / "weights").write_text("w")
        run.supervisor.saved(30, str(folder / "checkpoint-30"))
        run.train(35, loss=0.2)
        if ends:
            run.supervisor.end(elapsed=8130.5)
        journal.close()
        return tmp_path / "out"

    return build


@pytest.fixture
def story(command):
    """Return what `steersman explain` prints, line breaks undone."""

    def tell(path: Path) -> str:
        result = command("explain", path)
        assert result.exit_code == 0
        return " ".join(result.stdout.split())

    return tell


def test_what_the_run_was(story, run):
    """The mode, the strategies in order, and what could be changed within which bounds are told."""
    said = story(run())
    assert "Mode act: it scored, watched, and changed what the config names. Config: steersman.yaml." in said
    assert "asked: multi-metric (steersman 0.1.0) and trend-health (steersman 0.1.0; preset: seed)." in said
    assert "Allowed to change: learning_rate (>= 0.001)." in said
    assert "Allowed, but kl_penalty is unsupported: this trainer has none." in said
    assert "Said at its begin: no evaluation can be kept." in said


def test_why_the_best_is_the_best(story, run):
    """The best is told against the lowest eval loss, each term with what it gains or loses."""
    said = story(run())
    assert "multi-metric decides: its best is step 10, with 0.5666 (lower is better). It scored 3 of 3" in said
    assert "The lowest eval loss, 1.1000 (at step 10: 1.2000), is at step 30, which multi-metric scores 0.7105." in said
    # gap: 0.3 x 0.9 / 1.1 - 0.3 x 0.2 / 1.2 = 0.195455; eval_loss: 0.5 x 0.1;
    # perplexity: 0.1 x (e^1.2 - e^1.1) / 20 = 0.00158
    assert (
        "Against step 30, step 10 gains 0.1955 by gap and loses 0.0500 by eval_loss and 0.0016 by perplexity: "
        "better by 0.1439 in all." in said
    )


def test_a_best_that_was_never_saved(story, run):
    """A best evaluation that was never saved is named as such, beside the best that was kept."""
    out = run()
    said = story(out)
    assert "Step 10 was evaluated and never saved." in said
    assert f"The best that was kept is step 30, number 2 with 0.7105, in {out / 'checkpoint-30'}." in said


def test_a_checkpoint_that_is_gone(story, run):
    """A checkpoint that was saved and deleted since does not count as kept."""
    out = run()
    shutil.rmtree(out / "checkpoint-30")
    assert "no checkpoint that may be best is left on this disk" in story(out)


def test_a_run_that_was_moved(story, run, tmp_path):
    """A checkpoint is found beside the journal when the run was moved after training."""
    assert "The best that was kept is step 30" in story(run(saved_in=tmp_path / "another-machine"))


def test_why_each_value_changed(story, run):
    """A change is told with the finding behind it, old and new value, and what was read back."""
    assert (
        "Step 20: learning_rate 0.01 -> 0.008 (-20.0 %), read back as 0.008. trend-health proposed it because of "
        "loss-spike: loss spiked by 0.5000 to 1.5000." in story(run())
    )


def test_what_was_refused(story, run):
    """A proposal that was not carried out is told with its verdict and its reason."""
    said = story(run())
    assert (
        "kl_penalty x1.2 by trend-health because of loss-spike: refused, step 20: kl_penalty is unsupported: this "
        "trainer has no such hyperparameter." in said
    )
    assert "learning_rate x0.8 by trend-health because of loss-rising: lost, step 20" in said


def test_what_it_would_have_changed(story, run):
    """In advise nothing changed, and what would have been is told."""
    said = story(run(mode="advise"))
    assert "Why each value changed" not in said
    assert (
        "What it would have changed learning_rate x0.8 by trend-health because of loss-spike: advised, step 20" in said
    )


def test_a_strategy_that_failed(story, run):
    """A strategy that raised is told with hook, step and error."""
    assert "failed in diagnose, step 20: RuntimeError: out of ideas." in story(run())


def test_how_it_ended(story, run):
    """A run that ended says at which step, and how long it took: 8130.5 seconds."""
    assert "It ended at step 35 after 2:15:30: 3 evaluations and 3 health checks." in story(run())


def test_a_run_that_was_killed(story, run):
    """A run without an end still tells its best and its changes, and that it has no end."""
    out = run(ends=False)
    with (out / "steersman" / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"v": 1, "kind": "sco')
    said = story(out)
    assert "It has no end: the journal stops at step 35" in said
    assert "So far: 3 evaluations and 3 health checks." in said
    assert "its best is step 10, with 0.5666" in said
    assert "learning_rate 0.01 -> 0.008" in said


def test_the_journal_itself(command, run):
    """The journal file may be named instead of the run directory."""
    out = run()
    by_file = command("explain", out / "steersman" / "journal.jsonl").stdout
    assert by_file.splitlines()[1:] == command("explain", out).stdout.splitlines()[1:]


def test_a_journal_that_begins_in_the_middle(command, write):
    """A journal without its beginning says so and tells what it can."""
    journal = write("journal.jsonl", '{"v": 1, "kind": "unscored", "step": 5, "metrics": {}}\n')
    said = " ".join(command("explain", journal).stdout.split())
    assert "The journal does not say how this run began." in said
    assert "1 evaluation, and no strategy could score one" in said


def test_json(printed_json, run):
    """--json prints one object with the choices, the changes, and the same story."""
    told = printed_json("explain", run())
    assert (told["version"], told["mode"], told["ended"], told["last_step"]) == (1, "act", True, 35)
    assert {name: choice["step"] for name, choice in told["choices"].items()} == {"multi-metric": 10, "eval-loss": 30}
    assert told["choices"]["multi-metric"]["value"] == pytest.approx(0.566601, abs=1e-6)
    assert [(c["step"], c["hyperparameter"], c["old"], c["new"], c["read_back"]) for c in told["changes"]] == [
        (20, "learning_rate", 0.01, 0.008, 0.008)
    ]
    assert {chapter["title"] for chapter in told["chapters"]} >= {"The run", "Why each value changed"}


BEGIN = {
    "resumed": False,
    "config_source": "steersman.yaml",
    "strategies": [
        {"name": "multi-metric", "target": "multi-metric", "origin": "steersman 0.1.0 (a:B)", "options": {}},
        {"name": "trend-health", "target": "trend-health", "origin": "steersman 0.1.0", "options": {"preset": "seed"}},
    ],
    "hyperparameters": [
        {"name": "learning_rate", "status": "live", "reason": "", "value": 0.01, "allowed": True, "bounds": ">= 0.001"},
        {
            "name": "kl_penalty",
            "status": "unsupported",
            "reason": "this trainer has none",
            "value": None,
            "allowed": True,
            "bounds": "",
        },
        {"name": "temperature", "status": "live", "reason": "", "value": 1.0, "allowed": False, "bounds": ""},
    ],
    "preflight": ["no evaluation can be kept"],
}
"""What the integration writes when a run begins."""


def test_a_copy_whose_checkpoint_was_deleted(command, run, tmp_path, monkeypatch):
    """The journal says out/checkpoint-30, which from here is the original's: of the copy it is gone, to `best` too."""
    monkeypatch.chdir(tmp_path)
    run(saved_in=Path("out"))
    shutil.copytree("out", "copy")
    shutil.rmtree("copy/checkpoint-30")
    whole, step, original = (
        " ".join(command("explain", *words).stdout.split())
        for words in (("copy",), ("copy", "--step", "30"), ("out", "--step", "30"))
    )
    chosen = command("best", "copy", "--scorer", "eval-loss")

    assert "It was saved in out/checkpoint-30 and is gone." in step
    assert "no checkpoint that may be best is left on this disk" in whole
    assert (chosen.exit_code, "was saved in out/checkpoint-30 and is gone." in chosen.stderr) == (1, True)
    assert "It was saved in out/checkpoint-30." in original


def test_options_are_told_in_words(command, tmp_path):
    """A table or a list among the options of a strategy is no Python literal."""
    journal = Journal(tmp_path / "steersman" / "journal.jsonl")
    journal.open()
    options = {"metrics": {"eval_loss": 1.0, "f1": {"weight": 0.5, "direction": "higher"}}, "names": ["a", "b"]}
    journal.write("run", 0, mode="advise", strategies=[{"name": "score", "origin": "steersman", "options": options}])
    journal.close()
    said = " ".join(command("explain", tmp_path).stdout.split())

    assert "score (steersman; metrics: eval_loss 1.0 and f1 (weight 0.5 and direction higher), names: a and b)" in said
