"""How a run ended, and what was said and done in it: what its journal tells."""

from __future__ import annotations

from attrs import define, field, frozen

from steersman.journal import JournalEntry

KNOWN = ("learning_rate", "max_grad_norm", "kl_penalty", "temperature", "reward_weight", "reward_threshold")
"""The hyperparameters that some run may have, each also of one group or one reward: `learning_rate[head]`."""


@frozen
class Said:
    """A finding that is no mere information, or an action: at which step, and its name."""

    step: int
    name: str


@frozen
class Ran:
    """A run that is over. Lower is better: `untrained` and `end` are the test metric before and after it.

    `chosen` is that of the checkpoint the policy leaves: the last, or the best by the run's own ranking. `findings` and
    `actions` are in the order in which they came; an action is a change that was made, a rollback, a stop or a step
    skipped. `failures` are what a strategy raised. `cut_stays` where the learning rate ends below the user's own.
    """

    untrained: float
    end: float
    chosen: float
    steps: int
    parameters: int = 0
    findings: tuple[Said, ...] = ()
    actions: tuple[Said, ...] = ()
    failures: tuple[str, ...] = ()
    cut_stays: bool = False

    @property
    def is_destructive(self) -> bool:
        """Whether something was done that does not come back: a rollback, a stop, a cut that stays."""
        return self.cut_stays or any(said.name in ("rollback", "stop") for said in self.actions)

    @property
    def changes(self) -> int:
        """How many values were changed."""
        return sum(said.name not in ("rollback", "stop", "skip") for said in self.actions)


def _is_known(hyperparameter: str) -> bool:
    return hyperparameter.partition("[")[0] in KNOWN


@define
class Tally:
    """Hears the journal of a run and keeps what counts."""

    findings: list[Said] = field(factory=list[Said])
    actions: list[Said] = field(factory=list[Said])
    failures: list[str] = field(factory=list[str])
    factor: float = 1.0

    def hear(self, entry: JournalEntry) -> None:
        """Take one line of the journal."""
        data = entry.data
        if entry.kind == "finding" and data["severity"] != "info":
            self.findings.append(Said(entry.step, data["name"]))
        elif entry.kind == "adjustment":
            self.actions.append(Said(entry.step, data["hyperparameter"]))
            if data["hyperparameter"] == "learning_rate":
                self.factor = data["factor"]
        elif entry.kind == "rollback":
            self.actions.append(Said(entry.step, "rollback"))
        elif entry.kind == "note" and str(data["message"]).startswith("the run stops:"):
            self.actions.append(Said(entry.step, "stop"))
        elif entry.kind == "proposal" and data["action"] == "adjust" and not _is_known(data["hyperparameter"]):
            self.failures.append(f"{data['strategy']} proposes to change {data['hyperparameter']}, which no run has")
        elif entry.kind == "error":
            self.failures.append(f"{data['strategy']} raised in {data['hook']}: {data['error']}")
        elif entry.kind == "record" and data["metrics"].get("steps_skipped"):
            self.actions.append(Said(entry.step, "skip"))

    def ran(self, untrained: float, end: float, chosen: float, steps: int, parameters: int) -> Ran:
        """Return the run that is over."""
        return Ran(
            untrained, end, chosen, steps, parameters, tuple(self.findings), tuple(self.actions), tuple(self.failures),
            self.factor < 1 - 1e-9,
        )  # fmt: skip
