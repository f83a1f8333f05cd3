"""`steersman strategies new`: a distribution with a strategy and its tests, or one file beside a config."""

from __future__ import annotations

import ast
import keyword
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from attrs import frozen

from steersman.cli import Problem
from steersman.cli.as_json import VERSION
from steersman.cli.terminal import print_json
from steersman.config.yaml_text import dumps
from steersman.loading import installed

_RULE = "small letters, digits and single hyphens, beginning with a letter, such as gradient-watch"
_THING = Path("src", "steersman_my_thing", "my_thing.py")
"""The module of the template that holds the strategy itself; it is all that `--in-house` writes."""
_LEFT_OUT = re.compile(r"\.|__pycache__$|.*\.egg-info$")
_LONGEST = 60


@frozen
class Names:
    """The three spellings of a name: `gradient-watch`, `gradient_watch`, `GradientWatch`."""

    name: str
    module: str
    cls: str

    def written(self, text: str) -> str:
        """Return a text of the template in these names."""
        return text.replace("my-thing", self.name).replace("my_thing", self.module).replace("MyThing", self.cls)


@click.command(short_help="Begin a strategy of your own, with its tests.")
@click.argument("name")
@click.option("--in-house", is_flag=True, help="Write one file, hooks/NAME.py, instead of a distribution.")
@click.option(
    "--into", type=click.Path(path_type=Path), default=Path(), help="The folder to write to; by default the one here."
)
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object instead.")
def new(name: str, in_house: bool, into: Path, as_object: bool) -> None:
    """Write a small strategy that works, for you to change. As a distribution it comes with tests, among them the
    contract that every strategy keeps; with --in-house it is one file beside your config. Nothing that exists is
    written over.

    \b
    Examples:
      steersman strategies new gradient-watch
      steersman strategies new gradient-watch --in-house
      steersman strategies new gradient-watch --into ~/src
    """
    names = names_of(name)
    if not into.is_dir():
        raise Problem(f"{into}: there is no such folder")
    if in_house:
        texts, top = in_house_texts(names, into)
        (file,) = texts
        use = f"./{file.as_posix()}:{names.cls}"
        then = [f"steersman strategies check {shlex.quote(f'{into / file}:{names.cls}')}"]
    else:
        if names.name in installed():
            raise Problem(
                f"a strategy named {names.name!r} is installed already: steersman strategies show {names.name}"
            )
        texts, top = distribution_texts(names)
        use = names.name
        then = [f"cd {shlex.quote(str(into / top))}", "pip install -e '.[test]'", "pytest"]
    made = write(texts, into, top)
    if as_object:
        told = {"name": names.name, "class": names.cls, "files": made, "use": use, "next": then}
        print_json({"version": VERSION, **told})
    else:
        _tell(str(made[0]) if in_house else f"{into / top}, {len(made)} files", use, then)


def _tell(what: str, use: str, then: Sequence[str]) -> None:
    click.echo(f"Wrote {what}.")
    click.echo("\nTry it:")
    for command in then:
        click.echo(f"  {command}")
    click.echo(f"\nUse it, in a config:\n\nuse:\n  - {dumps(use)}")


def names_of(name: str) -> Names:
    """Return the spellings of a name. Raises Problem, with the rule, for one that cannot be a strategy's."""
    inner = name.removeprefix("steersman-")
    if inner != name and inner:
        raise Problem(f"{name!r}: leave out steersman-, it comes by itself: steersman strategies new {inner}")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > _LONGEST:
        near = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()).strip("-")
        is_near = near != name and re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", near) and len(near) <= _LONGEST
        hint = f"; did you mean {near!r}?" if is_near else ""
        raise Problem(f"{name!r} is no name for a strategy: it is at most {_LONGEST} {_RULE}{hint}")
    module, cls = name.replace("-", "_"), "".join(part.capitalize() for part in name.split("-"))
    for spelling in (module, cls):
        if keyword.iskeyword(spelling):
            raise Problem(f"{name!r} is no name for a strategy: {spelling} is a word of Python itself")
    if cls.startswith("Test"):
        raise Problem(f"{name!r} is no name for a strategy: pytest would take its class {cls} for tests")
    if cls in _imported():
        raise Problem(f"{name!r} is no name for a strategy: its class would hide the {cls} that its module imports")
    return Names(name, module, cls)


def _imported() -> set[str]:
    """Return what the modules of the template import by name."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in template().rglob("*.py")]
    return {
        alias.asname or alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    } - {"MyThing"}


def template() -> Path:
    """Return the folder of the template: packaged with Steersman, or in its checkout."""
    package = Path(__file__).parents[1]
    places = (package / "_template", package.parents[1] / "contrib" / "_template")
    found = next((place for place in places if (place / _THING).is_file()), None)
    if found is None:
        raise Problem(f"this installation of Steersman has no template; it was looked for in {places[0]}")
    return found


def distribution_texts(names: Names) -> tuple[dict[Path, str], Path]:
    """Return every file of the template in other names, and the folder that holds them all."""
    source, top = template(), Path(f"steersman-{names.name}")
    parts = (path.relative_to(source) for path in sorted(source.rglob("*")) if path.is_file())
    return {
        top / names.written(str(part)): names.written((source / part).read_text(encoding="utf-8"))
        for part in parts
        if not any(_LEFT_OUT.match(name) for name in part.parts)
    }, top


def in_house_texts(names: Names, into: Path) -> tuple[dict[Path, str], Path]:
    """Return the strategy of the template alone, as a file below `hooks`, and what of that is new in `into`."""
    file = Path("hooks", f"{names.module}.py")
    text = names.written((template() / _THING).read_text(encoding="utf-8"))
    return {file: text}, file if (into / "hooks").exists() else file.parent


def write(texts: Mapping[Path, str], into: Path, top: Path) -> list[Path]:
    """Write files below `into`, all of them or none, and return them; `top` holds them all and must be new."""
    if (into / top).exists() or (into / top).is_symlink():
        raise Problem(f"{into / top} is there already, and is left as it is")
    with tempfile.TemporaryDirectory(prefix=".steersman-new-", dir=into) as making:
        for path, text in texts.items():
            Path(making, path).parent.mkdir(parents=True, exist_ok=True)
            Path(making, path).write_text(text, encoding="utf-8")
        Path(making, top).rename(into / top)
    return [into / path for path in texts]
