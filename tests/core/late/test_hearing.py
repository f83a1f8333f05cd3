"""A run hears late scores at its next check, asks again who scores by metrics alone, and a replay hears the same."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from attrs import define

import steersman
from steersman import LateScore, Save, Score, hookimpl
from steersman.explain import ranking_told
from steersman.explain_step import explain_step
from steersman.journal import Journal
from steersman.late.entries import recorded_in
from steersman.late.hearing import JournalLines, RecordedLate
from steersman.readers.journal import current
from steersman.verifying import verify

GATE = {"require": {"safety": ">= 0.92"}}
HALF = {"eval_loss": 0.5, "safety": {"weight": 0.5, "direction": "higher"}}


def late(step, **metrics):
    return LateScore(step, metrics)


@define(eq=False)
class SavesTheBest:
    """Wants each new best saved: it tells at which check it saw which."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Save(f"best is {run.best.step if run.best else None}")


@define(eq=False)
class Strict:
    """Scores by the loss and rejects what does harm; it is asked again."""

    scores_late: ClassVar[bool] = True

    @hookimpl
    def score_checkpoint(self, checkpoint):
        if checkpoint.metrics.get("harm", 0.0) > 0.1:
            return Score.reject(f"harm {checkpoint.metrics['harm']:g}")
        return Score(checkpoint.metrics["eval_loss"])


@define(eq=False)
class Once:
    """Scores as it likes, once; it is not asked again."""

    asked: int = 0

    @hookimpl
    def score_checkpoint(self, checkpoint):
        self.asked += 1
        return Score(float(self.asked))


def fed(run, losses):
    for step, loss in losses.items():
        run.train(step, loss=loss)
        run.evaluate(step, eval_loss=loss)
    run.supervisor.settle()


def test_a_requirement_is_met_at_the_check_that_hears(supervise):
    """Step 10 is best by loss and waits; its score comes before the check at 30, and only then is it best."""
    source = RecordedLate({(20, "scheduled"): (late(20, safety=0.95),), (30, "scheduled"): (late(10, safety=0.93),)})
    run = supervise("eval-loss", SavesTheBest(), config={"score": GATE, "check_every": 10}, late=source)
    fed(run, {10: 1.0, 20: 2.0, 30: 3.0})

    assert [(e.step, e.data["because"]) for e in run.of("proposal")] == [
        (10, "best is None"), (20, "best is 20"), (30, "best is 10"),
    ]  # fmt: skip
    assert [(e.step, e.data["reason"], e.data["scores"]) for e in run.of("late_heard")] == [
        (20, "scheduled", [{"step": 20, "metrics": {"safety": 0.95}, "by": ""}]),
        (30, "scheduled", [{"step": 10, "metrics": {"safety": 0.93}, "by": ""}]),
    ]


def test_who_scores_by_metrics_alone_is_asked_again(supervise):
    """0.5 x 2.0 - 0.5 x 0.9 = 0.55 is scored once safety is there; a scorer that was not asked keeps what it gave."""
    once = Once()
    source = RecordedLate({(20, "scheduled"): (late(10, safety=0.9),)})
    run = supervise(once, config={"score": HALF, "check_every": 10}, late=source)
    fed(run, {10: 2.0, 20: 1.0})

    scored = [
        (e.step, e.data["strategy"], e.data["value"], e.data["heard_at"], e.data["decides"]) for e in run.of("score")
    ]
    assert scored == [
        (10, "once", 1.0, None, True), (20, "once", 2.0, None, True), (10, "score", pytest.approx(0.55), 20, True),
    ]  # fmt: skip
    assert once.asked == 2
    assert run.supervisor.run.best.step == 10
    assert list(run.supervisor.run.best.scores) == ["score", "once"]


def test_a_strategy_may_reject_late(supervise):
    """Best by its score until the harm is known; then it is never best, with the strategy's reason."""
    source = RecordedLate({(20, "scheduled"): (late(10, harm=0.3),)})
    run = supervise(Strict(), config={"check_every": 10}, late=source)
    run.train(10, loss=1.0)
    run.evaluate(10, eval_loss=1.0)
    run.supervisor.settle()
    assert run.supervisor.run.best.step == 10
    fed(run, {20: 2.0})

    assert run.supervisor.run.best.step == 20
    assert [(e.step, e.data["rejected"]) for e in run.of("score")][-1] == (10, "harm 0.3")


def test_the_end_hears_and_a_check_out_of_turn_does_not(supervise):
    """A check at a NaN leaves it to the next scheduled one; what is there at the end is in the summary."""
    source = RecordedLate({(15, "end"): (late(10, safety=0.95),)})
    run = supervise("eval-loss", config={"score": GATE, "check_every": 10}, late=source)
    fed(run, {10: 1.0})
    run.train(15, loss=float("nan"))
    run.supervisor.settle()
    heard_before_the_end = run.of("late_heard")
    told = run.supervisor.end()

    assert [e.data["reason"] for e in run.of("check")] == ["scheduled", "anomaly", "end"]
    assert heard_before_the_end == []
    assert (told["best"]["step"], told["passed_over"], told["never_came"]) == (10, [], {})


def test_the_summary_tells_what_is_passed_over(supervise):
    """The best by score waits, the next is rejected: both stand in the summary with the reason."""
    source = RecordedLate({(30, "end"): (late(20, safety=0.5), late(30, safety=1.0))})
    run = supervise("eval-loss", config={"score": GATE, "check_every": 10}, late=source)
    fed(run, {10: 1.0, 20: 2.0, 30: 3.0})

    told = run.supervisor.end()

    assert told["best"]["step"] == 30
    assert told["passed_over"] == [
        {"step": 10, "score": 1.0, "why": "waiting for safety", "waits": True},
        {"step": 20, "score": 2.0, "why": "safety 0.5 is not >= 0.92", "waits": False},
    ]


def test_a_required_metric_may_come_with_the_evaluation(supervise):
    """Nothing is late here: the evaluation itself gives what is required."""
    run = supervise("eval-loss", config={"score": {"require": {"eval_f1": "> 0.5"}}})
    run.evaluate(10, eval_loss=1.0, eval_f1=0.4)
    run.evaluate(20, eval_loss=2.0, eval_f1=0.6)

    assert run.supervisor.run.best.step == 20


@pytest.fixture
def journal(tmp_path):
    """An open journal with a run that was evaluated at 10 and 20."""
    made = Journal(tmp_path / "steersman" / "journal.jsonl")
    made.open()
    made.write("run", 0, resumed=False)
    for step in (10, 20):
        made.write("unscored", step, metrics={})
    yield made
    made.close()


def test_only_what_was_appended_since_is_heard(journal, tmp_path):
    """Each late score once, in order, among the lines of the run; none where nobody wrote."""
    lines = JournalLines(journal)
    heard = [lines.hear(10, "scheduled")]
    steersman.record(tmp_path, 10, safety=0.9)
    steersman.record(tmp_path, 20, safety=0.8)
    journal.write("note", 20, message="own", severity="info")
    heard.append(lines.hear(20, "scheduled"))
    journal.write("note", 30, message="own", severity="info")
    heard.append(lines.hear(30, "scheduled"))
    steersman.record(tmp_path, 10, safety=0.7)
    heard.append(lines.hear(40, "scheduled"))

    assert heard == [(), (late(10, safety=0.9), late(20, safety=0.8)), (), (late(10, safety=0.7),)]


def test_where_nobody_wrote_nothing_is_read(journal):
    """The size of the file tells: after the first check it is not opened for lines of the run itself."""
    lines = JournalLines(journal)
    for step in range(20):
        journal.write("note", step, message="own", severity="info")
        path, journal.path = journal.path, journal.path.with_name("cannot be read")
        assert lines.hear(step, "scheduled") == ()
        journal.path = path
    assert lines._offset == journal.size()


def test_a_line_that_is_not_whole_yet_is_heard_later(journal, tmp_path):
    """Half a line of somebody else's waits for its other half."""
    lines = JournalLines(journal)
    line = b'{"v":1,"kind":"late_score","step":10,"time":1.0,"metrics":{"safety":0.9},"by":""}\n'
    with journal.path.open("ab", buffering=0) as other:
        other.write(line[:30])
        first = lines.hear(10, "scheduled")
        other.write(line[30:])

    assert (first, lines.hear(20, "scheduled")) == ((), (late(10, safety=0.9),))


def test_a_resumed_run_hears_what_no_check_heard(journal, tmp_path):
    """Of three scores one was heard, one is of weights that are trained again, and one came while the run was down."""
    steersman.record(tmp_path, 10, safety=0.9)
    journal.write("late_heard", 10, reason="scheduled", scores=[{"step": 10, "metrics": {"safety": 0.9}, "by": ""}])
    steersman.record(tmp_path, 20, safety=0.8)
    steersman.record(tmp_path, 10, f1=0.5)
    again = Journal(journal.path)
    again.open()
    again.write("run", 10, resumed=True, settled=10)
    lines = JournalLines(again, resumed=True)
    heard = lines.hear(20, "scheduled")
    again.write("note", 20, message="own", severity="info")

    assert (heard, lines.hear(30, "scheduled")) == ((late(10, f1=0.5),), ())
    again.close()


def test_a_new_run_in_the_same_place_hears_nothing_of_the_old(journal, tmp_path):
    """What was recorded of the run before belongs to other weights."""
    steersman.record(tmp_path, 10, safety=0.9)
    again = Journal(journal.path)
    again.open()
    again.write("run", 0, resumed=False)

    assert JournalLines(again).hear(10, "scheduled") == ()
    again.close()


MALFORMED = (
    '{"v":1,"kind":"late_score","step":10,"time":1.0,"metrics":{"safety":"high"},"by":""}',
    '{"v":1,"kind":"late_score","step":10,"time":1.0,"metrics":[1],"by":""}',
    '{"v":1,"kind":"late_score","step":"x","time":1.0,"metrics":{"safety":0.1},"by":""}',
    '{"v":1,"kind":"late_score","step":10,"time":1.0}',
    '{"v":1,"kind":"late_score","step":10,"time":1.0,"metrics":{"safety":"NaN"},"by":""}',
    '{"v":1,"kind":"late_score","step":10,',
)
"""Lines that nobody's `steersman record` writes."""


@pytest.mark.parametrize("wrong", MALFORMED)
def test_a_malformed_line_is_left_out_and_said_once(supervise, tmp_path, wrong):
    """The good ones beside it are heard at that check, which is made; the run and every reader of it go on."""
    journal = Journal(tmp_path / "steersman" / "journal.jsonl")
    journal.open()
    journal.write("run", 0, resumed=False, mode="advise", strategies=[{"name": "eval-loss"}], config={"score": GATE})
    run = supervise(
        "eval-loss", config={"score": GATE, "check_every": 10}, journal=journal, late=JournalLines(journal)
    )  # fmt: skip
    fed(run, {10: 1.0})
    steersman.record(tmp_path, 10, safety=0.95)
    with journal.path.open("a") as file:
        file.write(wrong + "\n")
    steersman.record(tmp_path, 10, f1=0.5)
    fed(run, {20: 2.0, 30: 3.0})
    run.supervisor.end()
    journal.close()

    assert [e.data["scores"] for e in run.of("late_heard")] == [
        [late(10, safety=0.95).to_json(), late(10, f1=0.5).to_json()]
    ]
    assert [e.step for e in run.of("check") if e.data["reason"] == "scheduled"] == [10, 20, 30]
    said = [e.data["message"] for e in run.of("note") if "late score" in e.data["message"]]
    assert said == [f"a line in the journal that should be a late score is none, and is left out: {wrong[:120]}"]
    assert recorded_in(current(journal.path)) == (late(10, safety=0.95), late(10, f1=0.5))
    assert explain_step(current(journal.path), ranking_told(current(journal.path)), 10)
    assert steersman.replay(tmp_path).ranking.best().step == 10


class Interrupted(Exception):
    """The process is killed here."""


class Training:
    """A plain loop of 60 steps, evaluated each ten; `at` says what is recorded in the midst of which step."""

    losses = {10: 2.0, 20: 1.5, 30: 1.0, 40: 1.2, 50: 1.3, 60: 1.4}

    def __init__(self, folder):
        self.folder, self.state = folder, None
        self.config = {"check_every": 10, "use": ["eval-loss"], "score": {**HALF, **GATE}, "console": False}

    def run(self, at, *, until=None, save_at=None):
        optimizer = torch.optim.SGD([weight := torch.nn.Parameter(torch.ones(1))], lr=0.1)
        loop = steersman.attach(optimizer, self.config, folder=self.folder, total_steps=60)
        if self.state is not None:
            loop.load_state_dict(self.state)
        self.best = {}
        try:
            with loop:
                for step in range(loop.step + 1, 61):
                    weight.square().sum().backward()
                    optimizer.step()
                    if step % 10 == 0:
                        loop.log(step, loss=self.losses[step])
                        loop.evaluate(step, loss=self.losses[step])
                    for recorded, metrics in at.get(step, ()):
                        steersman.record(self.folder, recorded, **metrics)
                    if step % 10 == 5:
                        best = loop.session.supervisor.run.best
                        self.best[step] = best.step if best else None
                    if step == save_at:
                        self.state = loop.state_dict()
                    if step == until:
                        raise Interrupted
        except Interrupted:
            return {}
        return loop.summary


AT = {15: [(10, {"safety": 0.95})], 33: [(20, {"safety": 0.95}), (30, {"safety": 0.5})], 60: [(40, {"safety": 0.99})]}
BEST = {5: None, 15: None, 25: 10, 35: 10, 45: 20, 55: 20}


def test_a_live_run_hears_at_its_next_check_and_its_replay_decides_the_same(tmp_path):
    """0.5 x loss - 0.5 x safety: 10 is 0.525, 20 is 0.275, 30 is 0.25 but not safe, 40 is 0.105 and heard at the last check."""
    training = Training(tmp_path)
    summary = training.run(AT)
    verified = verify(tmp_path)

    assert training.best == BEST
    assert (summary["best"]["step"], summary["best"]["score"]) == (40, pytest.approx(0.105))
    assert (verified.differences, verified.decisions > 6) == ((), True)


@pytest.mark.parametrize("killed_at", [36, 44])
def test_a_resumed_run_keeps_what_it_heard_and_hears_the_rest(tmp_path, killed_at):
    """Saved at 32, killed before or after the check that hears at 40: it ends as the straight run, and verifies."""
    straight, training = Training(tmp_path / "straight"), Training(tmp_path / "resumed")
    expected = straight.run(AT)
    training.run(AT, until=killed_at, save_at=32)
    summary = training.run({60: AT[60]})

    def told(folder):
        entries = current(folder / "steersman" / "journal.jsonl")
        return sorted(
            (e.step, e.data["strategy"], e.data["value"], e.data["heard_at"] or 0) for e in entries if e.kind == "score"
        )

    assert summary["best"]["step"] == expected["best"]["step"] == 40
    assert told(training.folder) == told(straight.folder)
    assert {step: best for step, best in BEST.items() if step > 32}.items() <= training.best.items()
    assert verify(training.folder).differences == ()


def test_what_comes_after_the_end_changes_no_decision(tmp_path):
    """A replay hears it after the end: its ranking has it, and the run still verifies."""
    training = Training(tmp_path)
    training.run(AT)
    steersman.record(tmp_path, 60, safety=1.0)
    steersman.record(tmp_path, 40, safety=0.1)
    replayed = steersman.replay(tmp_path)

    assert replayed.recording.late_left == (late(60, safety=1.0), late(40, safety=0.1))
    assert (replayed.ranking.best().step, replayed.summary["best"]["step"]) == (60, 60)  # 0.5 x 1.4 - 0.5 = 0.2
    assert [e.data["reason"] for e in replayed.of("late_heard")][-1] == "after the end"
    assert verify(tmp_path).differences == ()


def test_a_replay_with_other_checks_hears_at_the_first_one_after(tmp_path):
    """Heard at 20, 40 and 60 in the run: with a check each 30 steps at 30 and 60."""
    training = Training(tmp_path)
    training.run(AT)

    replayed = steersman.replay(tmp_path, {**training.config, "check_every": 30})

    assert [(e.step, len(e.data["scores"])) for e in replayed.of("late_heard")] == [(30, 1), (60, 3)]


def test_malformed_lines_in_a_journal_change_no_verdict(tmp_path):
    """Whoever reads a journal with them, the run verifies, and its best and its story are what they were."""
    training = Training(tmp_path)
    training.run(AT)
    best = steersman.replay(tmp_path).ranking.best()
    heard = '{"v":1,"kind":"late_heard","step":20,"scores":[{"step":"x"},4]}'
    with (tmp_path / "steersman" / "journal.jsonl").open("a") as file:
        file.write("".join(f"{line}\n" for line in (*MALFORMED, heard)))

    assert verify(tmp_path).differences == ()
    assert steersman.replay(tmp_path).ranking.best() == best
    assert ranking_told(current(tmp_path / "steersman" / "journal.jsonl")).best().step == best.step
