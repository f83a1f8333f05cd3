"""docs/generate_contrib.py: what it tells of a distribution, which it does not import."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PYPROJECT = """
[project]
name = "steersman-quota"
version = "0.3.0"
description = "Stops a run | in time."
dependencies = ["attrs>=23.2", "steersman>=0.1,<0.2"]

[project.entry-points."steersman.strategies"]
quota = "steersman_quota:Quota"
"""
MODULE = '''
raise RuntimeError("imported")


class Other:
    """Not this one."""


@define(eq=False)
class Quota:
    """Stop a run when its time is up.

    It looks at each check.

    Source: Author (2001), A title that goes on
    in the next line
    Source: Another (2002), Another title.
    """

    hours: float
    """How many hours."""

    share: float = field(default=1e-7, validator=validators.ge(0))
    """A share, either `a | b`
    or less."""

    words: tuple[str, ...] = ("a", "b")
    tables: dict[str, float] = field(factory=dict[str, float])
    is_on: bool = True
    least: float | None = None
    text: str = ""

    effects: ClassVar[bool] = True
    seen: int = state(0)
    _file: object = field(init=False, default=None)

    @hookimpl
    def propose_adjustments(self, run, check):
        return None

    @property
    def left(self):
        return 0

    @steersman.hookimpl
    def on_journaled(self, entry):
        return None
'''
SECTION = """
## steersman-quota

[Stops a run | in time.](../../contrib/steersman-quota/README.md)
Version 0.3.0, for `steersman>=0.1,<0.2`. `pip install steersman-quota`

- `quota`: Stop a run when its time is up.
- Hooks: `propose_adjustments`, `on_journaled`.
- It acts outside the run, so replay leaves it out unless asked with `--effects`.
- Source: Author (2001), A title that goes on in the next line.
- Source: Another (2002), Another title.

| option | default | meaning |
|---|---|---|
| `hours` | required | How many hours. |
| `share` | `1e-7` | A share, either `a \\| b` or less. |
| `words` | `[a, b]` |  |
| `tables` | `{}` |  |
| `is_on` | `true` |  |
| `least` | `null` |  |
| `text` | `""` |  |
"""


def test_a_distribution(tmp_path: Path) -> None:
    """Metadata, sentence, hooks, sources and options come from the text, through the import of a package; state does not."""
    package = tmp_path / "steersman-quota" / "src" / "steersman_quota"
    package.mkdir(parents=True)
    (tmp_path / "steersman-quota" / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (package / "__init__.py").write_text("from steersman_quota.rule import Quota\n", encoding="utf-8")
    (package / "rule.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "_template").mkdir()
    page = runpy.run_path(str(DOCS / "generate_contrib.py"))["render"](tmp_path)

    assert page.endswith(SECTION)
    assert "| [`quota`](#steersman-quota) | `steersman-quota` | Stops a run \\| in time. |\n" in page
    assert page.count("\n## ") == 1
