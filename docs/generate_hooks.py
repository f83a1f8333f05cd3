"""Writes docs/reference/hooks.md from the docstrings of `steersman.hookspecs`: `python docs/generate_hooks.py`."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from steersman.hookspecs import HOOKS, Hooks

PAGE = Path(__file__).parent / "reference" / "hooks.md"

INTRODUCTION = """\
# Hooks

This page is made from the docstrings of `steersman.hookspecs` by `python docs/generate_hooks.py`. Do not edit it.

Every hook takes `run`, the read-only view of the run, and at most one value.
A strategy may leave out an argument that it does not need.
Hooks return values. They never act and never touch the trainer: [why](../explanation/why-hooks-return-values.md).
Lower scores are better, always.

The examples on this page start with these imports.

```python
from attrs import define

from steersman import Adjust, Average, Finding, Rollback, Save, Score, Stop, hookimpl, state
```

| hook | in a sentence |
|---|---|
"""


def signature(hook: str) -> str:
    """Return the `def` line of a hook as it stands in the source."""
    source = inspect.getsource(getattr(Hooks, hook)).splitlines()
    return next(line.strip().rstrip(":") for line in source if line.strip().startswith("def "))


def render() -> str:
    """Return the whole page."""
    texts = {hook: inspect.getdoc(getattr(Hooks, hook)) or "" for hook in HOOKS}
    rows = [f"| [`{hook}`](#{hook}) | {text.splitlines()[0]} |" for hook, text in texts.items()]
    return INTRODUCTION + "\n".join(rows) + "\n" + "".join(_section(hook, text) for hook, text in texts.items())


def _section(hook: str, text: str) -> str:
    says, _, example = text.partition("Example:\n")
    code = textwrap.dedent(example).rstrip()
    return f"\n## {hook}\n\n```text\n{signature(hook)}\n```\n\n{says.strip()}\n\n```python\n{code}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
