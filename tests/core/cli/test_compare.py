"""`steersman compare`: small runs whose figures are known, and real ones."""

from __future__ import annotations

import json

import pytest

RISING = (
    {"step": 10, "eval_loss": 1.0, "eval_accuracy": 0.50},
    {"step": 20, "eval_loss": 0.8, "eval_accuracy": 0.60},
    {"step": 30, "eval_loss": 0.9, "eval_accuracy": 0.75},
)
LATEST = '''
from attrs import define

from steersman import Score, Stop, hookimpl


@define(eq=False)
class Latest:
    """Keep the newest; ask for a stop at step 20."""

    weight: float = 1.0

    @hookimpl
    def score_checkpoint(self, checkpoint):
        return Score.higher(self.weight * checkpoint.step)

    @hookimpl
    def propose_adjustments(self, check):
        return Stop("enough") if check.step == 20 else None
'''


@pytest.fixture
def latest(write):
    """A scorer in a file that keeps the newest checkpoint, and asks for a stop at step 20."""
    return f"{write('latest.py', LATEST)}:Latest as latest"


def line_of(page: str, start: str) -> list[str]:
    return next(line for line in page.splitlines() if line.strip().startswith(start)).split()


def test_side_by_side(command, trainer_state, latest):
    """A run: the step that each keeps, its loss and accuracy, beside the lowest eval loss and the last evaluation."""
    path = trainer_state(*RISING)
    result = command("compare", path, "--use", "eval-loss", "--use", latest)
    said = result.stdout
    assert result.exit_code == 0
    assert line_of(said, "run ") == ["run", "eval-loss", "latest", "eval", "loss", "evaluation"]
    assert line_of(said, str(path.parent)[:20])[-4:] == ["20", "30", "20", "30"]
    assert line_of(said, "eval loss")[2:] == ["0.8000", "0.9000", "0.8000", "0.9000"]
    assert line_of(said, "eval_accuracy ")[1:] == ["0.6000", "0.7500", "0.6000", "0.7500"]
    assert max(map(len, said.splitlines())) <= 100


def test_wins_and_losses(command, trainer_state, latest):
    """Two runs by hand: latest gains 0.15 and loses 0.10 of accuracy against the lowest eval loss, 0.025 in the mean."""
    falling = (
        {"step": 10, "eval_loss": 0.8, "eval_accuracy": 0.7},
        {"step": 20, "eval_loss": 0.9, "eval_accuracy": 0.6},
    )
    paths = trainer_state(*RISING, name="a.json"), trainer_state(*falling, name="b.json")
    said = command("compare", *paths, "--use", "eval-loss", "--use", latest).stdout
    table = said[said.index("metric, kept by") :]
    assert line_of(table, "latest  ") == [
        "latest", "lowest", "eval", "loss", "2", "1", "/", "0", "/", "1", "+0.0250", "-0.1000", "to", "+0.1500",
    ]  # fmt: skip
    assert "latest keeps the lowest eval loss in 0 of 2 runs." in said
    assert "eval-loss keeps the lowest eval loss in 2 of 2 runs." in said
    told = " ".join(said.split())
    assert "latest would have stopped 2 runs and saved 10 steps; in 0 a better checkpoint came after." in told
    assert "Under ten runs it is too narrow." in told


def test_a_strategy_that_keeps_nothing(command, trainer_state):
    """A health strategy has no column and that is said; its alarms have a row though there are none."""
    said = command("compare", trainer_state(*RISING), "--use", "eval-loss", "--use", "trend-health").stdout
    told = " ".join(said.split())
    assert "trend-health scored nothing here and keeps no checkpoint, so there is no column." in told
    assert line_of(said, "trend-health  ") == ["trend-health", "0", "0", "0.00"]


def test_alarms_per_thousand_steps(command, runs):
    """16831's 21 alarms in 375,000 steps, and none in the 1220 of another run, are 0.06 per thousand."""
    logs = [runs / "trainer_state" / name for name in ("16831-project-01.json", "llama-factory-01.json")]
    said = command("compare", *logs, "--use", "trend-health").stdout
    assert "1 run of 2 had an alarm (50%)." in said
    assert line_of(said, "trend-health  ") == ["trend-health", "21", "21", "0.06"]
    assert line_of(said, "non-finite-grad-norm") == ["non-finite-grad-norm", "21", "21", "0.06", "1"]
    assert "trend-health: 16 advised and 5 refused." in said


def test_a_run_without_an_evaluation(command, runs):
    """A run that never evaluated has `none` in each cell, and no task metric is said to be known."""
    said = command("compare", runs / "trainer_state" / "unslothgrpo-01.json", "--use", "eval-loss").stdout
    assert "No run has a metric of the task whose direction is known" in said
    row = next(line for line in said.splitlines() if line.rstrip().endswith("none"))
    assert row.split()[-2:] == ["none", "none"]


def test_a_direction_that_is_not_known(command, trainer_state):
    """A metric whose direction nobody said is left out and named; given by hand it is compared."""
    path = trainer_state({"step": 10, "eval_loss": 1.0, "eval_quality": 3.0})
    told = " ".join(command("compare", path, "--use", "eval-loss").stdout.split())
    assert "Direction not known, so left out: eval_quality. Give --task-metric eval_quality:higher or :lower." in told
    given = command("compare", path, "--use", "eval-loss", "--task-metric", "quality:lower").stdout
    assert "Direction not known" not in given
    assert line_of(given[given.index("metric, kept by") :], "eval_quality") == ["eval_quality", "lower", "is", "better"]


def test_a_metric_that_never_came(command, trainer_state):
    """A metric given by hand that no evaluation has is said to be missing, with the nearest that came."""
    result = command("compare", trainer_state(*RISING), "--use", "eval-loss", "--task-metric", "eval_acuracy:higher")
    assert result.exit_code == 0
    assert "no evaluation has a metric 'eval_acuracy', did you mean 'eval_accuracy'?" in result.stderr


def test_a_run_that_cannot_be_read(command, trainer_state, write):
    """It is named with the reason, the others are compared all the same, and the exit status says so."""
    result = command("compare", write("bad.json", "{"), trainer_state(*RISING), "--use", "eval-loss")
    assert result.exit_code == 2
    assert "bad.json: it is no JSON" in result.stderr
    assert "1 run: 3 evaluations in 30 steps. 1 run could not be read." in result.stdout


def test_only_what_cannot_be_read(command):
    """Where no run could be read there is no page, only the sentence."""
    result = command("compare", "nowhere", "--use", "eval-loss")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Error: nowhere: there is no such file or directory" in result.stderr


def test_many_runs(command, trainer_state, latest):
    """Of 31 runs the ten that differ most are shown, the largest difference first; the totals are over all."""
    paths = [
        trainer_state(
            {"step": 10, "eval_loss": 0.8, "eval_accuracy": 0.5},
            {"step": 20, "eval_loss": 0.9, "eval_accuracy": 0.5 + number / 100},
            name=f"run{number:02}.json",
        )
        for number in range(31)
    ]
    said = command("compare", *paths, "--use", latest).stdout
    assert "The 10 of 31 runs whose choices differ most" in said
    shown = [line.split()[0] for line in said.splitlines() if line.strip().startswith("run") and ".json" in line]
    assert shown == [f"run{number}.json" for number in range(30, 20, -1)]
    assert line_of(said[said.index("metric, kept by") :], "latest  ")[4:10] == ["31", "30", "/", "1", "/", "0"]
    assert "Under ten runs" not in said


def test_strategies_that_do_not_fit_beside_each_other(command, trainer_state):
    """Six scorers make two tables, each with the two baselines, and no line is wider than a page."""
    uses = [text for n in range(6) for text in ("--use", f"multi-metric as variant-number-{n}:gap_weight={n}")]
    said = command("compare", trainer_state(*RISING), *uses).stdout
    heads = [line.split() for line in said.splitlines() if line.strip().startswith("run ")]
    assert [name for head in heads for name in head if name.startswith("variant")] == [
        f"variant-number-{n}" for n in range(6)
    ]
    assert len(heads) > 1
    assert all(head[-1] == "evaluation" for head in heads)
    assert max(map(len, said.splitlines()[1:])) <= 100


def test_json(printed_json, trainer_state, latest):
    """--json has each run with its choices and task metrics, and the total with every comparison."""
    path = trainer_state(*RISING)
    told = printed_json("compare", path, "--use", "eval-loss", "--use", latest)
    assert (told["version"], told["use"]) == (1, ["eval-loss", "latest"])
    [run] = told["runs"]
    assert (run["path"], run["format"], run["evaluations"], run["error"]) == (str(path), "trainer_state", 3, None)
    assert {name: choice["step"] for name, choice in run["choices"].items()} == {"eval-loss": 20, "latest": 30}
    assert run["task_metrics"] == [
        {
            "name": "eval_accuracy",
            "higher_is_better": True,
            "best": 0.75,
            "at": {"eval-loss": 0.6, "latest": 0.75, "lowest eval loss": 0.6, "last evaluation": 0.75},
        }
    ]
    assert (run["alarms"], run["alarms_per_thousand_steps"]) == (0, 0.0)
    first = next(c for c in told["total"]["comparisons"] if c["chooser"] == "latest")
    assert (first["against"], first["wins"], first["mean_difference"]) == ("lowest eval loss", 1, pytest.approx(0.15))
    assert first["interval"] is None
    assert told["total"]["stops"] == [{"strategy": "latest", "runs": 1, "steps_saved": 10, "gave_up_better": 0}]


def test_json_of_a_run_that_cannot_be_read(command):
    """With --json it is an object with its error, beside the sentence and exit code 2."""
    result = command("compare", "nowhere", "--use", "eval-loss", "--json")
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert told["runs"][0]["error"] == "nowhere: there is no such file or directory"
    assert (told["total"]["runs"], told["total"]["failed"]) == (1, 1)


def test_use_replaces_that_of_a_config(command, trainer_state, write):
    """--use takes the place of the strategies of --config, and the page says so; the rest of it holds."""
    config = write("own.yaml", "mode: observe\nuse: [trend-health]\nmetrics: {eval_f1x: eval_accuracy}\n")
    path = trainer_state({"step": 10, "eval_loss": 1.0, "eval_f1x": 0.5})
    told = " ".join(command("compare", path, "--config", config, "--use", "eval-loss").stdout.split())
    assert "its strategies replaced. Asked in this order: eval-loss." in told
    assert "eval_accuracy higher is better" in told
    alone = command("compare", path, "--config", config).stdout
    assert alone.startswith("Comparison of trend-health\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--use", "multi-metric:5"), "character 14: expected key=value, got '5'"),
        (("--use", "eval-los"), "did you mean 'eval-loss'?"),
        (("--use", "eval-loss", "--use", "eval-loss"), "'eval-loss' is named twice"),
        (("--task-metric", "eval_quality"), "give eval_quality:higher or eval_quality:lower"),
        (("--set", "kl_penalty=high"), "expected name=value with a finite number"),
    ],
)
def test_what_a_user_can_get_wrong(command, trainer_state, arguments, said):
    """Each is a sentence and exit code 2."""
    result = command("compare", trainer_state(*RISING), *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())


def test_what_a_run_says_cannot_steer_the_terminal(command, trainer_state):
    """Control characters in the name of a metric are shown as such."""
    said = command("compare", trainer_state({"step": 10, "eval_loss": 1.0, "eval_\x1b[2J_accuracy": 1.0})).stdout
    assert "\x1b" not in said
    assert "eval_�[2J_accuracy" in said
