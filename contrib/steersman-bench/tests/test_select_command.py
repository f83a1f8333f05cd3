"""`steersman bench select`: what fails has a row that says so, and what is recorded is whole."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from steersman_bench import expected
from steersman_bench.command import bench
from steersman_bench.select import recording
from steersman_bench.select.curves import SHIPPED, read
from steersman_bench.select.expecting import FILE, came_to
from steersman_bench.select.measuring import Report, Row, measure
from steersman_bench.select.page import page
from steersman_bench.select.pieces import SIZES
from steersman_bench.select.regrets import Figures, figures, lowest
from steersman_bench.select.strategies import asked
from steersman_bench.statistics import Mean, Tally

ROOT = Path(__file__).parents[3]
STRATEGIES = Path(__file__).parent / "strategies" / "select_strategies.py"


@pytest.mark.slow
def test_what_fails_has_a_row_that_says_so_and_the_others_complete(tmp_path: Path) -> None:
    """Of six strategies four are no good: they raise, score NaN, end their process, take a minute."""
    bad = {
        "Raises": "RuntimeError: no idea",
        "NotANumber": "a score of nan",
        "Exits": "exit code 3",
        "Slow": "no answer within 2 seconds",
    }
    uses = [f"--use={STRATEGIES}:{name}" for name in (*bad, "Newest")]

    ran = CliRunner().invoke(
        bench,
        ["select", "--quick", "--families", "regressions", "--workers", "2", "--timeout", "2", "--json", *uses],
    )

    assert ran.exit_code == 0, ran.output
    rows = {row["name"].rpartition(":")[2]: row for row in json.loads(ran.stdout)["strategies"]}
    assert [name for name, says in bad.items() if says not in rows[name]["says"]] == []
    assert [rows[name]["figures"] for name in bad] == [None] * 4
    assert rows["eval-loss"]["says"] == rows["Newest"]["says"] == ""
    assert rows["eval-loss"]["figures"]["difference"]["mean"] == 0
    assert rows["Newest"]["figures"] == rows["last checkpoint"]["figures"]


def test_the_parts_are_shown_where_the_first_strategy_failed() -> None:
    """Figures by size and by family stand in the page beside a row that has none."""
    mean = Mean(1.25, None, None, 1)
    told = Figures(mean, None, mean, None, Tally(0, 100, 0), 1)
    bad = Row("bad", "bad", None, {}, {}, 1, 0.0, 0.0, "it raises")
    good = Row("good", "good", told, {"8": told}, {"tabular": told}, 0, 0.0, 0.0, "")
    recording = {"families": {"tabular": 1}, "runs": 1, "sizes": [8]}
    out = Console(file=io.StringIO(), width=100)

    page(Report((bad, good), (), recording), out)

    assert [line.split() for line in out.file.getvalue().splitlines()].count(["good", "1.25"]) == 2


def test_an_unknown_name_is_said_before_anything_runs() -> None:
    """Exit code 2, with the nearest name."""
    ran = CliRunner().invoke(bench, ["select", "--use", "multimetric"])

    assert ran.exit_code == 2
    assert "multi-metric" in ran.stderr


def test_what_ships_is_enough_and_small() -> None:
    """At least 120 runs in at least five families of the published seed, under ten megabytes."""
    shipped = read()

    assert len(shipped.runs) >= 120
    assert len({run.family for run in shipped.runs}) >= 5
    assert (shipped.told["seeds"], shipped.told["development"]) == ([1], False)
    assert SHIPPED.stat().st_size < 10_000_000


def test_a_run_is_made_again_from_its_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the same seed gives the same curves; what is interrupted leaves no file."""
    monkeypatch.setattr(recording, "FAMILIES", {"tabular": 1})
    for name in ("one.npz", "two.npz"):
        recording.remake(tmp_path / name, development=True)
    one, two = (read(tmp_path / name).runs[0] for name in ("one.npz", "two.npz"))

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recording.remake(tmp_path / "three.npz", development=True)

    assert np.array_equal(one.losses, two.losses)
    assert one.test.tolist() == two.test.tolist()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "two.npz"]


def test_the_page_is_of_the_runs_that_ship() -> None:
    """It tells how many there are and from which seed, and what the lowest eval loss and the last come to on them."""
    page = (ROOT / "docs" / "reference" / "bench-select.md").read_text(encoding="utf-8")
    shipped = read()
    keys = [(run, size) for run in range(len(shipped.runs)) for size in SIZES]
    base = figures(shipped.runs, {(run, size): lowest(shipped.runs[run], size) for run, size in keys})
    last = figures(shipped.runs, dict.fromkeys(keys, 20))

    assert base is not None and last is not None
    assert (
        f"{len(shipped.runs)} runs are recorded" in page and f"made from the seed {shipped.told['seeds'][0]} " in page
    )
    assert f"| `eval-loss` | {base.regret.mean:.2f} |" in page
    assert f"| last checkpoint | {last.regret.mean:.2f} |" in page


@pytest.mark.slow
def test_no_shipped_strategy_got_worse() -> None:
    """On the quick runs each is within the interval that is recorded for it."""
    report = measure(asked(()), read().quick(), timeout=60, workers=2)

    assert [*expected.worse(FILE, came_to(report))] == []
