"""How a run ends: averages are tried, strategies and ledgers told, the user's values put back, all of it summed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from steersman import summary
from steersman.averaging.candidates import propose

if TYPE_CHECKING:
    from steersman.supervisor import Supervisor


def finish(supervisor: Supervisor, facts: Mapping[str, Any]) -> dict[str, Any]:
    """End a run whose steps are settled; journal its summary, with the `facts` of its trainer, and return it.

    A Ctrl-C while averages were tried is raised once all that is done.
    """
    interrupt = propose(supervisor.scoring, supervisor.tries)
    supervisor.dispatch.notify("on_train_end", supervisor.run)
    supervisor.accounting.tell()
    for problem in supervisor.registry.release():
        supervisor.note(problem)
    told = {
        **summary.of(
            supervisor.run,
            supervisor.ranking,
            supervisor.at.dropped,
            supervisor.dispatch.seconds(),
            supervisor.scoring.examples.read(),
            supervisor.recovery.used,
        ),
        "tokens": supervisor.accounting.accounts(),
        **facts,
    }
    supervisor.journal.write("end", supervisor.progress.step, **told)
    supervisor.close()
    if interrupt is not None:
        raise interrupt
    return told
