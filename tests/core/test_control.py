"""What a person tells a run through its directory."""

from __future__ import annotations

import json

import pytest
from attrs import define, field

from steersman import Adjust, Rollback, RunPlan, Save, Stop, control, hookimpl
from steersman.control import Files, Said


@pytest.fixture
def files(tmp_path):
    """The files of a run directory that is not there yet, with the complaints about them."""
    said = []
    heard = Files(tmp_path / "steersman", said.append)
    return heard, said


def test_nothing_said(files):
    """A run without a directory hears nothing."""
    heard, _ = files
    assert heard.hear(10) == Said()
    assert not Said().anything


def test_each_request_is_heard_once(files):
    """Approvals and a revert arrive at the next check, and only there."""
    heard, _ = files
    control.ask(heard.folder, "approve", number=3)
    control.ask(heard.folder, "approve", number=5)
    control.ask(heard.folder, "revert")

    assert heard.hear(10) == Said(approved=(3, 5), reverts=True)
    assert heard.hear(20) == Said()


def test_a_resumed_run_goes_on_hearing_where_it_was(files):
    """How many requests were obeyed is in the checkpoint; a new run in the same place leaves out all of them."""
    heard, _ = files
    control.ask(heard.folder, "approve", number=1)
    heard.hear(10)
    control.ask(heard.folder, "approve", number=2)
    resumed, new = Files(heard.folder, read=heard.read), Files(heard.folder)
    new.begin()

    assert resumed.hear(20) == Said(approved=(2,))
    assert new.hear(20) == Said()


def test_the_switch(files):
    """The file is obeyed as long as it is there; switching twice changes nothing more."""
    heard, _ = files
    assert [control.switch(heard.folder, off=True) for _ in range(2)] == [True, False]
    assert [heard.hear(step).off for step in (10, 20)] == [f"{heard.folder / 'off'} is there"] * 2
    assert [control.switch(heard.folder, off=False) for _ in range(2)] == [True, False]
    assert heard.hear(30).off == ""


@pytest.mark.parametrize(("value", "off"), [("1", "STEERSMAN_DISABLED is set"), ("0", ""), ("", "")])
def test_the_environment(files, monkeypatch, value, off):
    """An environment variable switches off as the file does; empty and 0 do not."""
    monkeypatch.setenv("STEERSMAN_DISABLED", value)
    assert files[0].hear(10).off == off


@pytest.mark.parametrize("line", ["no JSON", "[1]", '"approve"', "null"])
def test_a_line_that_is_no_request(files, line):
    """It is complained of once, and what is around it is heard."""
    heard, said = files
    control.ask(heard.folder, "approve", number=1)
    with (heard.folder / "requests.jsonl").open("a") as file:
        file.write(line + "\n")
    control.ask(heard.folder, "approve", number=2)

    assert heard.hear(10).approved == (1, 2)
    assert heard.hear(20).approved == ()
    assert said == [f"{heard.folder / 'requests.jsonl'} holds a line that is no request: {line!r}"]


@pytest.mark.parametrize("number", [None, "two", -1, 1.5, [1]])
def test_a_number_that_is_none(files, number):
    """An approval without a whole number approves nothing."""
    heard, _ = files
    control.ask(heard.folder, "approve", number=number)
    assert heard.hear(10).approved == ()


def test_a_line_that_is_still_written_waits(files):
    """Half a line is left for the next check, when it is whole."""
    heard, _ = files
    heard.folder.mkdir()
    path = heard.folder / "requests.jsonl"
    line = json.dumps({"ask": "approve", "number": 4})
    path.write_text(line[:10])
    assert heard.hear(10) == Said()
    path.write_text(line + "\n")
    assert heard.hear(20).approved == (4,)


def test_the_mark_of_a_stop(tmp_path):
    """It holds step and reason until it is cleared; a broken one is none."""
    control.mark_stopped(tmp_path / "steersman", 40, "stopper: enough")
    assert control.stopped(tmp_path / "steersman") == (40, "stopper: enough")
    assert [control.clear_stop(tmp_path / "steersman") for _ in range(2)] == [True, False]
    assert control.stopped(tmp_path / "steersman") is None
    (tmp_path / "steersman" / "stopped.json").write_text('{"step": 4')
    assert control.stopped(tmp_path / "steersman") is None


@define(eq=False)
class Proposes:
    """Proposes what it is told to at the given checks, else at each."""

    what: object
    at: tuple = ()
    heard: list = field(factory=list)

    @hookimpl
    def propose_adjustments(self, check):
        return self.what if not self.at or check.step in self.at else None


@define(eq=False)
class Other(Proposes):
    """The same under another name."""


CUT = Adjust("learning_rate", scale=0.5, because="each check")


@pytest.fixture
def told(supervise, files):
    """Return a function that runs checks ten steps apart; before that of a step what is given for it is done."""
    heard, _ = files

    def run(*strategies, before=(), steps=50, mode="ask", values=(("learning_rate", 1.0),), **config):
        acts = dict(before)
        run = supervise(
            *strategies,
            config={
                "mode": mode,
                "check_every": 10,
                "hyperparameters": {name: {} for name, _ in values},
                **config,
            },
            plan=RunPlan(1000),
            values=dict(values),
            control=heard,
        )
        for step in range(10, steps + 1, 10):
            run.train(step, loss=1.0)
            if step in acts:
                acts[step]()
            run.supervisor.settle()
        return run

    return run


def verdicts(run, strategy=None):
    return [
        (e.step, e.data["verdict"], e.data["number"])
        for e in run.of("proposal")
        if strategy is None or e.data["strategy"] == strategy
    ]


def approve(files, *numbers):
    return lambda: [control.ask(files[0].folder, "approve", number=number) for number in numbers]


def revert(files):
    return lambda: control.ask(files[0].folder, "revert")


def switch(files, *, off):
    return lambda: control.switch(files[0].folder, off=off)


def test_a_proposal_waits_for_a_yes_and_expires(told):
    """In `ask` nothing is changed; a proposal nobody approves expires at the check after, with the reason."""
    run = told(Proposes(CUT, (10,)), steps=30)

    assert verdicts(run) == [(10, "waiting", 1), (20, "expired", 1)]
    assert run.of("proposal")[1].data["reason"] == "nobody approved it before the check after"
    assert run.of("adjustment") == []


def test_an_approved_proposal_is_made_at_the_next_check(told, files):
    """It is applied to the value then in force, once; the journal tells who was approved."""
    run = told(Proposes(CUT, (10,)), before={20: approve(files, 1)})

    assert verdicts(run) == [(10, "waiting", 1), (20, "applied", None)]
    assert [(e.step, e.data["strategy"], e.data["new"]) for e in run.of("adjustment")] == [(20, "proposes", 0.5)]
    assert [(e.step, e.data["approved"]) for e in run.of("control")] == [(20, (1,))]


def test_an_approval_that_comes_too_late(told, files):
    """After it has expired, and for a number that nobody has, an approval changes nothing."""
    run = told(Proposes(CUT, (10,)), before={30: approve(files, 1, 99)})

    assert verdicts(run) == [(10, "waiting", 1), (20, "expired", 1)]


def test_what_was_approved_is_preferred_to_what_was_not(told, files):
    """At the check that hears the yes another strategy proposes a deeper cut: the approved one is made, once."""
    deeper = Adjust("learning_rate", scale=0.1, because="deeper")
    run = told(Proposes(CUT, (10,)), Other(deeper, (20,)), before={20: approve(files, 1)}, steps=20)

    assert verdicts(run) == [(10, "waiting", 1), (20, "applied", None), (20, "lost", None)]
    assert run.of("proposal")[-1].data["reason"] == "x0.5 of proposes was approved; changes do not stack"


def test_a_strategy_that_asks_on_is_not_made_twice(told, files):
    """Approved and proposed again at the same check: one change, and the second loses to the first."""
    run = told(Proposes(CUT), before={20: approve(files, 1)}, steps=20)

    assert verdicts(run) == [(10, "waiting", 1), (20, "applied", None), (20, "lost", None)]


def test_a_yes_does_not_lift_a_rail(told, files):
    """Approved at the second check, the change is refused there if a rail now forbids it."""
    run = told(Proposes(CUT, (10, 20, 30)), before={20: approve(files, 1), 30: approve(files, 2)}, rails={"budget": 0})
    assert {e.data["verdict"] for e in run.of("proposal")} == {"refused"}

    second = Proposes(CUT, (10, 30))
    run = told(second, before={20: approve(files, 1), 40: approve(files, 2)}, rails={"budget": 1})
    assert verdicts(run) == [(10, "waiting", 1), (20, "applied", None), (30, "refused", None)]


@pytest.mark.parametrize(
    ("what", "action"), [(Stop("enough"), "stop"), (Rollback("it diverged"), "rollback")], ids=["stop", "rollback"]
)
def test_a_stop_and_a_rollback_wait_too(told, files, what, action):
    """In `ask` a run is stopped or rolled back only after a yes."""
    run = told(Proposes(what, (10,)), before={20: approve(files, 1)})
    told_of = [(e.step, e.data["action"], e.data["verdict"]) for e in run.of("proposal")]

    done = {"stop": "accepted", "rollback": "refused"}[action]  # nothing keeps snapshots here
    assert told_of == [(10, action, "waiting"), (20, action, done)]
    assert (run.supervisor.actions.stop_because == "proposes: enough") == (action == "stop")


def test_a_stop_that_nobody_approves_expires(told):
    """It is journaled as expired, and the run goes on."""
    run = told(Proposes(Stop("enough"), (10,)), steps=20)

    assert verdicts(run) == [(10, "waiting", 1), (20, "expired", 1)]
    assert run.supervisor.actions.stop_because is None


def test_a_save_needs_no_yes(told):
    """A checkpoint costs nothing but disk, so it is saved without asking."""
    run = told(Proposes(Save("before the fault"), (10,)), steps=10)

    assert run.supervisor.actions.save_because == "proposes: before the fault"


@pytest.mark.parametrize("mode", ["ask", "act"])
def test_off_is_obeyed_within_one_check_and_ends(told, files, mode):
    """While the switch is off a proposal is only told, nobody is asked for a yes, and what was changed stays."""
    run = told(
        Proposes(CUT, (10, 20, 30)),
        Other(Stop("enough"), (20,)),
        before={20: switch(files, off=True), 30: switch(files, off=False)},
        mode=mode,
        steps=30,
    )

    first = {"ask": "waiting", "act": "applied"}[mode]
    assert [v for _, v, _ in verdicts(run, "proposes") if v != "expired"] == [first, "advised", first]
    assert [v for _, v, _ in verdicts(run, "other")] == ["advised"]
    assert run.supervisor.actions.stop_because is None
    assert [e.step for e in run.of("control")] == [20]


def test_a_stop_that_was_decided_stands_when_switched_off_after(told, files):
    """The switch is about checks to come: what the check before has decided is done."""
    run = told(Proposes(Stop("enough"), (10,)), before={20: switch(files, off=True)}, mode="act", steps=20)

    assert run.supervisor.actions.stop_because == "proposes: enough"


def test_revert_undoes_all_at_the_next_check(told, files):
    """Every value is the user's again, whatever is proposed at that check is only told, and later checks go on."""
    values = (("learning_rate", 1.0), ("max_grad_norm", 2.0))
    clip = Adjust("max_grad_norm", scale=0.5)
    run = told(Proposes(CUT), Other(clip, (10,)), before={30: revert(files)}, mode="act", steps=40, values=values)

    made = [(e.step, e.data["hyperparameter"], e.data["new"], e.data["strategy"]) for e in run.of("adjustment")]
    assert made == [
        (10, "learning_rate", 0.5, "proposes"), (10, "max_grad_norm", 1.0, "other"), (20, "learning_rate", 0.25, "proposes"),
        (30, "learning_rate", 1.0, "steersman"), (30, "max_grad_norm", 2.0, "steersman"), (40, "learning_rate", 0.5, "proposes"),
    ]  # fmt: skip
    (at_30,) = [e.data for e in run.of("proposal") if e.step == 30]
    assert (at_30["verdict"], "steersman revert" in at_30["reason"]) == ("advised", True)


def test_revert_and_off(told, files):
    """Together they end all steering: the values are the user's, and stay so."""
    run = told(Proposes(CUT), before={30: lambda: (revert(files)(), switch(files, off=True)())}, mode="act", steps=60)

    assert [(e.step, e.data["new"]) for e in run.of("adjustment")] == [(10, 0.5), (20, 0.25), (30, 1.0)]
    assert run.supervisor.registry.view("learning_rate").factor == 1.0


def test_nothing_to_revert(told, files):
    """A revert of a run in which nothing was changed does nothing."""
    run = told(Proposes(None), before={30: revert(files)}, mode="act")

    assert run.of("adjustment") == []


def test_what_was_reverted_is_not_undone_again(told, files):
    """A raise that was put back is no longer watched: no second undoing some checks later."""
    run = told(
        Proposes(Adjust("learning_rate", scale=2.0), (10,)),
        before={20: revert(files)},
        mode="act",
        steps=80,
        outcomes={"revert_risky": True, "release_after": 3},
    )

    assert [(e.step, e.data["new"]) for e in run.of("adjustment")] == [(10, 2.0), (20, 1.0)]
