"""Writes docs/reference/contrib.md from contrib/, importing none of it: `python docs/generate_contrib.py`."""

from __future__ import annotations

import argparse
import ast
import inspect
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "contrib.md"
STRATEGIES, COMMANDS = "steersman.strategies", "steersman.commands"

INTRODUCTION = """\
# The directory of contrib

This page is made from the metadata and source in `contrib/` by `python docs/generate_contrib.py`. Do not edit it.

Each is a distribution of its own, with its own version, README and tests.
Installed is not active: a strategy runs where a config [names it](../how-to/select-and-order.md).
How to write one: [your first strategy](../tutorial-strategy.md).
How to ship one: [publish a strategy](../how-to/publish-a-strategy.md).

| strategy | distribution | in a sentence |
|---|---|---|
"""


@frozen
class Option:
    """An option as the source has it; `default` None where it is required."""

    name: str
    default: str | None
    meaning: str


@frozen
class Strategy:
    """A strategy by its entry point, as the source of its class tells of it."""

    name: str
    summary: str
    sources: tuple[str, ...]
    hooks: tuple[str, ...]
    options: tuple[Option, ...]
    effects: bool


@frozen
class Distribution:
    """A distribution by its pyproject.toml, with its strategies and the commands that it adds to `steersman`."""

    name: str
    version: str
    description: str
    requires: str
    strategies: tuple[Strategy, ...]
    commands: tuple[str, ...]


def distributions(contrib: Path) -> Iterator[Distribution]:
    """Yield every distribution under `contrib` by name."""
    for file in sorted(contrib.glob("steersman-*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        [requires] = [need for need in project["dependencies"] if need.startswith("steersman>")]
        points = sorted(project["entry-points"].get(STRATEGIES, {}).items())
        commands = tuple(sorted(project["entry-points"].get(COMMANDS, {})))
        strategies = tuple(strategy_of(name, target, file.parent / "src") for name, target in points)
        yield Distribution(project["name"], project["version"], project["description"], requires, strategies, commands)


def strategy_of(name: str, target: str, source: Path) -> Strategy:
    """Return what the source below the folder `source` tells of the class behind an entry point."""
    module, _, cls = target.partition(":")
    text, node = class_of(module, cls, source)
    told = inspect.cleandoc(ast.get_docstring(node) or "")
    hooks = tuple(item.name for item in node.body if isinstance(item, ast.FunctionDef) and is_hook(item))
    effects = any(ast.unparse(item) == "effects: ClassVar[bool] = True" for item in node.body)
    return Strategy(name, told.partition("\n\n")[0], sources_in(told), hooks, tuple(options_of(node, text)), effects)


def class_of(module: str, cls: str, source: Path) -> tuple[str, ast.ClassDef]:
    """Return the text of the module that defines a class, and the class; an import in `module` is followed."""
    path = source.joinpath(*module.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
    for item in ast.parse(text).body:
        if isinstance(item, ast.ClassDef) and item.name == cls:
            return text, item
        if isinstance(item, ast.ImportFrom) and item.module and cls in [alias.name for alias in item.names]:
            return class_of(item.module, cls, source)
    raise SystemExit(f"{module} has no class {cls}")


def sources_in(docstring: str) -> tuple[str, ...]:
    """Return what follows each `Source:` of a docstring, up to the next or its end, on one line."""
    parts = docstring.replace("\nSources: ", "\nSource: ").split("\nSource: ")[1:]
    return tuple(" ".join(part.split()).rstrip(".") for part in parts)


def options_of(node: ast.ClassDef, text: str) -> Iterator[Option]:
    """Yield the fields of a class that a config may set, each with the text below it."""
    for item, below in zip(node.body, [*node.body[1:], None], strict=True):
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        if ast.unparse(item.annotation).startswith("ClassVar") or is_state(item.value):
            continue
        said = below.value if isinstance(below, ast.Expr) else None
        meaning = str(said.value) if isinstance(said, ast.Constant) else ""
        yield Option(item.target.id, default_of(item.value, text), " ".join(meaning.split()))


def is_hook(function: ast.FunctionDef) -> bool:
    """Whether a method is marked as a hook."""
    return any(
        ast.unparse(decorator).rpartition(".")[2].startswith("hookimpl") for decorator in function.decorator_list
    )


def is_state(value: ast.expr | None) -> bool:
    """Whether a field is what a strategy remembers, or else no option."""
    if not isinstance(value, ast.Call):
        return False
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in value.keywords}
    return ast.unparse(value.func) == "state" or given.get("init") == "False"


def default_of(value: ast.expr | None, text: str) -> str | None:
    """Return the default of a field as a config would write it; None where it has none."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        given: dict[Any, ast.expr] = {keyword.arg: keyword.value for keyword in value.keywords}
        if "factory" in given:
            return {"dict": "{}", "list": "[]", "tuple": "[]"}.get(ast.unparse(given["factory"]).partition("[")[0], "")
        value = given.get("default")
    if value is None:
        return None
    if isinstance(value, ast.Tuple | ast.List):
        return f"[{', '.join(str(default_of(item, text)) for item in value.elts)}]"
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value or '""'
    plain = {"None": "null", "True": "true", "False": "false"}
    found = ast.get_source_segment(text, value) or ast.unparse(value)
    return plain.get(found, found)


def render(contrib: Path = ROOT / "contrib") -> str:
    """Return the whole page."""
    found = [*distributions(contrib)]
    rows = [
        f"| [`{strategy.name}`](#{each.name}) | `{each.name}` | {_cell(each.description)} |"
        for each in found
        for strategy in each.strategies
    ]
    return INTRODUCTION + "".join(f"{row}\n" for row in rows) + "".join(_section(each) for each in found)


def _section(each: Distribution) -> str:
    head = f"\n## {each.name}\n\n[{each.description}](../../contrib/{each.name}/README.md)\n"
    facts = f"Version {each.version}, for `{each.requires}`. `pip install {each.name}`\n"
    added = "".join(f"\n- `steersman {command}`: what it adds to the command line.\n" for command in each.commands)
    return f"{head}{facts}{added}" + "".join(_told(strategy) for strategy in each.strategies)


def _told(strategy: Strategy) -> str:
    lines = [f"`{strategy.name}`: {strategy.summary}", f"Hooks: {', '.join(f'`{hook}`' for hook in strategy.hooks)}."]
    lines += ["It acts outside the run, so replay leaves it out unless asked with `--effects`."] * strategy.effects
    lines += [f"Source: {source}." for source in strategy.sources]
    head = "\n" + "\n".join(f"- {line}" for line in lines) + "\n"
    rows = [f"| `{o.name}` | {_default(o.default)} | {_cell(o.meaning)} |" for o in strategy.options]
    return head + "\n" + "\n".join(["| option | default | meaning |", "|---|---|---|", *rows]) + "\n" if rows else head


def _default(default: str | None) -> str:
    return "required" if default is None else f"`{_cell(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contrib", type=Path, default=ROOT / "contrib", help="the folder of the distributions")
    PAGE.write_text(render(parser.parse_args().contrib), encoding="utf-8")
