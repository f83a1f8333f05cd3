"""The documentation is asserted: its code runs, its configs are valid, its references are complete."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import io
import re
import runpy
import sys
import threading
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, get_args

import attrs
import click
import pytest
import yaml
from attrs import frozen

import steersman
from steersman import Adjust, Average, Finding, Record, Rollback, Score, Stop, Supervisor, Usage, hookimpl
from steersman.accounting.budgets import Budget
from steersman.accounting.ledgers import Prices
from steersman.arbiter import Ruling
from steersman.catalogue.entry_points import EntryPoint
from steersman.cli import main
from steersman.config import read
from steersman.config.reading import KEYS, SHIPPED
from steersman.config.schema import HyperparameterConfig, LoggingConfig
from steersman.control import Recorded, Said
from steersman.hyperparameters import Entry, OnPaper
from steersman.journal import Journal
from steersman.journal import read as entries_of
from steersman.late.entries import LateScore
from steersman.late.hearing import RecordedLate
from steersman.loading import installed, load
from steersman.outcomes import Label
from steersman.outcomes import Settings as OutcomeSettings
from steersman.rails import Limits, Mode
from steersman.registry import Registry
from steersman.snapshots import OnPaperSnapshots, Recovery, RecoverySettings
from steersman.testing import CHECKS, Played, Story
from steersman_plugins.rl_health import Name as FOUND

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
SLOW = {"tutorial.md"}
"""Pages that train a model."""
QUOTED = ("contrib/", "docs/")
"""Where the files lie that a page shows whole, instead of code of its own."""


@frozen
class Block:
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that a block stands for: the path in the comment of its first line."""
        match = re.match(r"# (\S+\.(?:py|yaml|toml))\n", self.text)
        return match[1] if match else None

    @property
    def is_quoted(self) -> bool:
        """Whether the block shows a file of this repository."""
        return self.file is not None and self.file.startswith(QUOTED)


def blocks(page: str) -> list[Block]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return [Block(language, body) for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)]


def write_files(page: str) -> set[str]:
    """Write the files that a page's blocks stand for; return the names under which Python imports them."""
    files = [(Path(block.file), block.text) for block in blocks(page) if block.file and not block.is_quoted]
    for path, text in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {path.with_suffix("").parts[0] for path, _ in files if path.suffix == ".py"}


@contextlib.contextmanager
def forgotten(names: set[str]) -> Iterator[None]:
    """Forget what is imported under these names meanwhile: another page has files of the same name."""
    before = {*sys.modules}
    try:
        yield
    finally:
        for module in {*sys.modules} - before:
            if module.partition(".")[0] in names:
                del sys.modules[module]


def with_block(language: str) -> Iterator[Any]:
    for page in PAGES:
        if any(block.language == language for block in blocks(page)):
            yield pytest.param(page, marks=[pytest.mark.slow] if page in SLOW and language == "python" else [])


@pytest.mark.parametrize("page", [*with_block("python")])
def test_the_code_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every python block runs, in order, and prints what the `output` block after it shows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names = write_files(page)
    found = blocks(page)
    namespace: dict[str, Any] = {"__name__": "docs"}

    for block, after in zip(found, [*found[1:], None], strict=True):
        if block.language == "python" and not block.is_quoted:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), forgotten(names):
                exec(compile(block.text, page, "exec"), namespace)
            if after is not None and after.language == "output":
                assert printed.getvalue() == after.text


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.is_quoted for block in blocks(page))])
def test_a_file_of_the_repository_is_shown_as_it_is(page: str) -> None:
    """A block whose first line names a file under contrib/ or docs/ is that file, whole."""
    for block in blocks(page):
        if block.is_quoted and block.file is not None:
            source = (ROOT / block.file).read_text(encoding="utf-8")
            assert block.text.partition("\n")[2] == source, block.file


@pytest.mark.parametrize("page", [*with_block("yaml")])
def test_the_configs_of_a_page_are_valid(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every yaml block is a config without a fault, whose strategies load."""
    monkeypatch.chdir(tmp_path)
    write_files(page)
    for block in blocks(page):
        if block.language == "yaml":
            Path("config.yaml").write_text(block.text, encoding="utf-8")
            problems: list[str] = []
            config = read("config.yaml", problems)
            strategies = load(config, problems)

            assert (problems, len(strategies)) == ([], len(config.use))


def test_the_toml_config_is_valid(tmp_path: Path) -> None:
    """The TOML of the how-to is a config that acts on the learning rate alone."""
    [block] = [block for block in blocks("how-to/configure.md") if block.language == "toml"]
    path = tmp_path / "pyproject.toml"
    path.write_text(block.text, encoding="utf-8")

    config = read(path)

    assert ([use.name for use in config.use], list(config.allowed)) == (
        ["eval-loss", "trend-health"],
        ["learning_rate"],
    )


@pytest.mark.parametrize("page", [*PAGES, "../README.md"])
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    """Every relative link names a file that is there, and the heading it points at."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        goal = (DOCS / page).parent / path if path else DOCS / page
        assert goal.is_file(), target
        assert not anchor or anchor in anchors(goal.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    """What a link to each heading of a page ends with."""
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^##+ (.+)$", text, re.M)}


def test_every_page_can_be_found() -> None:
    """The index leads to every other page."""
    text = (DOCS / "index.md").read_text(encoding="utf-8")

    assert [page for page in PAGES if f"({page})" not in text] == ["index.md"]


@pytest.mark.parametrize("page", ["hooks", "contrib"])
def test_a_generated_page_is_not_stale(page: str) -> None:
    """docs/reference/PAGE.md is what docs/generate_PAGE.py writes today."""
    generator = runpy.run_path(str(DOCS / f"generate_{page}.py"))

    assert (DOCS / "reference" / f"{page}.md").read_text(encoding="utf-8") == generator["render"]()


def sections(page: str) -> dict[str, str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in text.split("\n## ")[1:]}


def fields_of(section: str) -> dict[str, list[str]]:
    """The first column of a section's tables, each with the cells after it."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section, re.M)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_a_config_is_shown(key: str) -> None:
    """The how-to has a section for each key, with a config that uses it."""
    section = sections("how-to/configure.md")[key]

    examples = re.findall(r"^```yaml\n(.*?)^```$", section, re.M | re.S)
    assert any(key in yaml.safe_load(example) for example in examples)


@pytest.mark.parametrize(
    ("key", "cls"),
    [("hyperparameters", HyperparameterConfig), ("logging", LoggingConfig), ("budget", Budget), ("prices", Prices)],
)
def test_every_key_below_a_key_is_shown(key: str, cls: type[Any]) -> None:
    """The example of a table uses each key that it may have."""
    section = sections("how-to/configure.md")[key]

    assert [field.name for field in attrs.fields(cls) if f"{field.name}:" not in section] == []


@pytest.mark.parametrize("name", get_args(Mode))
def test_every_mode_is_explained(name: str) -> None:
    """The how-to on the config and that on steering a run say what each mode does."""
    assert f"`{name}`" in sections("how-to/configure.md")["mode"]
    assert f"\n| `{name}`" in sections("how-to/steer-a-run.md")["How much it may do"]


@pytest.mark.parametrize(
    ("key", "cls"),
    [
        ("rails", Limits), ("outcomes", OutcomeSettings), ("recovery", RecoverySettings), ("budget", Budget),
        ("prices", Prices),
    ],
)  # fmt: skip
def test_every_key_below_a_key_is_listed_with_its_default(key: str, cls: type[Any]) -> None:
    """The table of a key has exactly the keys below it, each with the default that the code has."""
    rows = fields_of(sections("how-to/configure.md")[key])

    assert {name: yaml.safe_load(cells[0]) for name, cells in rows.items()} == options(cls)


def test_every_shipped_config_is_named() -> None:
    """The how-to says what each config for `extends` is."""
    section = sections("how-to/configure.md")["extends"]

    assert [point.name for point in entry_points(group=SHIPPED) if f"`{point.name}` " not in section] == []


@pytest.mark.parametrize("command", main.list_commands(click.Context(main)))
def test_every_command_is_shown(command: str) -> None:
    """The README or a page shows each subcommand of `steersman`."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(DOCS / page for page in PAGES))]

    assert any(re.search(rf"steersman {command}\b", text) for text in texts)


def test_every_shipped_strategy_has_a_section() -> None:
    """The reference lists each strategy that this distribution ships, and no other."""
    shipped = {
        name for name, points in installed().items() if any(p.value.startswith("steersman_plugins") for p in points)
    }

    assert set(sections("reference/strategies.md")) == shipped
    assert len(shipped) == 9


def options(cls: type[Any]) -> dict[str, Any]:
    return {field.name: field.default for field in attrs.fields(cls) if field.init}


@pytest.mark.parametrize(
    "strategy",
    [
        "multi-metric",
        "eval-loss",
        "score",
        "trend-health",
        "recovery",
        "step-guard",
        "rl-health",
        "token-accounting",
        "averaged",
    ],
)
def test_every_option_of_a_strategy_is_listed(strategy: str) -> None:
    """A strategy's section names each of its options."""
    section = sections("reference/strategies.md")[strategy]
    cls = installed()[strategy][0].load()

    assert [name for name in options(cls) if f"| `{name}` |" not in section] == []


@pytest.mark.parametrize("preset", ["guarded", "evaluated", "seed"])
def test_every_option_of_a_preset_is_listed_with_its_default(preset: str) -> None:
    """The table of a preset has exactly its options, each with the default that the code has."""
    section = sections("reference/strategies.md")["trend-health"]
    [mine] = [part for part in section.split("\n### ")[1:] if part.startswith(f"{preset}\n")]
    cls = attrs.fields_dict(installed()["trend-health"][0].load())[preset].default.factory

    assert {name: float(cells[0]) for name, cells in fields_of(mine).items() if len(cells) == 2} == options(cls)


def test_every_threshold_of_rl_health_is_listed_with_its_default() -> None:
    """The second table of its section has exactly the thresholds, and the first what it can find."""
    section = sections("reference/strategies.md")["rl-health"]
    cls = attrs.fields_dict(installed()["rl-health"][0].load())["rules"].default.factory
    rows = {name: cells[0] for name, cells in fields_of(section).items() if len(cells) == 2 and name in options(cls)}

    assert {name: float(value) for name, value in rows.items()} == options(cls)
    assert [name for name in get_args(FOUND) if f"| `{name}` |" not in section] == []


@functools.cache
def written_by_the_code() -> dict[str, set[str]]:
    """Each kind of journal entry that the source of the core writes, with the fields named there."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "core" / "steersman").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            named = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
            first = node.args[0] if node.args else None
            if node.func.attr == "write" and isinstance(first, ast.Constant) and len(node.args) == 2:
                found[str(first.value)] |= named
            elif node.func.attr == "end" and ast.unparse(node.func.value).endswith("supervisor"):
                found["end"] |= named
    return found


@attrs.define(eq=False)
class Busy:
    """A strategy that makes a journal line of every kind it can."""

    @hookimpl
    def score_checkpoint(self, checkpoint: Any) -> Score | None:
        return Score(checkpoint.metrics["eval_loss"]) if "eval_loss" in checkpoint.metrics else None

    @hookimpl
    def diagnose(self, check: Any) -> Any:
        return "not a finding" if check.step == 30 else Finding("seen", "a check", "info", {"step": check.step})

    @hookimpl
    def propose_adjustments(self) -> Any:
        names = ("learning_rate", "temperature")
        return [*(Adjust(name, scale=0.5, because="a test") for name in names), Rollback("a test"), Stop("a test")]

    @hookimpl
    def propose_averages(self) -> Any:
        return Average((10, 20))

    @hookimpl
    def on_train_end(self) -> None:
        assert OVERRUN.wait(30)


OVERRUN = threading.Event()
"""Set once the journal says that a hook overruns its time budget."""


@attrs.define(eq=False)
class NextGeneration(OnPaper):
    """A hyperparameter whose new value waits for the next step."""

    waits: bool = False

    def write(self, value: float, ratio: float) -> None:
        super().write(value, ratio)
        self.waits = True

    def take_effect(self) -> bool:
        self.waits = False
        return True


@pytest.fixture(scope="module")
def seen_in_a_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Each kind of journal entry of a small run, with the fields its lines have in the file."""
    config = read(
        {
            "extends": "no-rails",
            "mode": "act",
            "check_every": 10,
            "use": [Busy()],
            "hyperparameters": {"learning_rate": {}, "temperature": {}},
            "rails": {"restart_baselines": True},
            "outcomes": {"judge_after": 1},
            "time_budget": 0.05,
            "budget": {"tokens": 100},
        }
    )
    folder = tmp_path_factory.mktemp("a-run")
    journal = Journal(folder / "journal.jsonl")
    journal.open()
    OVERRUN.clear()
    journal.subscribers.append(lambda entry: OVERRUN.set() if entry.kind == "overrun" else None)
    handles = {"learning_rate": OnPaper(1.0), "temperature": NextGeneration(1.0)}
    supervisor = Supervisor(
        config,
        load(config, []),
        registry=Registry(Entry(name, handle, "live", safer="down") for name, handle in handles.items()),
        journal=journal,
        control=Recorded({20: Said(reverts=True)}),
        late=RecordedLate({(20, "scheduled"): (LateScore(10, {"safety": 0.9}),)}),
        recovery=Recovery(config.recovery, OnPaperSnapshots()),
    )
    supervisor.tries = lambda candidates: candidates[0].refuse("a test")
    supervisor.begin()
    for step in (10, 20, 30):
        supervisor.settle(step_begins=True)
        usage = (Usage("backpropagation", 50, 1.0, 2),)
        supervisor.feed(Record(step, "train", {"loss": 1.0, "reward": 1.0}, step / 10, usage=usage))
        supervisor.feed(Record(step, "eval", {"eval_loss": 1.0} if step == 10 else {"eval_f1": 1.0}))
        supervisor.saved(step, f"checkpoint-{step}")
    supervisor.note("a note")
    supervisor.end()
    supervisor.close()
    journal.close()
    steersman.record(folder, 10, by="a test", safety=0.9)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries_of(journal.path or folder):
        found[entry.kind] |= set(entry.data) - {"time"}
    return found


def test_every_kind_of_journal_entry_has_a_section() -> None:
    """The reference has a section for each kind that the code writes, and for no other."""
    assert set(sections("reference/journal.md")) == set(written_by_the_code())


def test_a_run_writes_every_kind_but_run(seen_in_a_run: dict[str, set[str]]) -> None:
    """The small run above makes every kind of entry; only `run` comes from an integration."""
    assert set(written_by_the_code()) - set(seen_in_a_run) == {"run"}


@pytest.mark.parametrize("kind", sorted(written_by_the_code()))
def test_every_field_of_a_journal_entry_is_listed(kind: str, seen_in_a_run: dict[str, set[str]]) -> None:
    """A kind's section lists exactly the fields that the code names and a real run writes."""
    listed = {name for name, cells in fields_of(sections("reference/journal.md")[kind]).items() if cells != [""]}

    assert listed - (set(get_args(Ruling)) if kind == "proposal" else set()) == (
        written_by_the_code()[kind] | seen_in_a_run.get(kind, set())
    )


def test_every_verdict_is_listed() -> None:
    """The section of proposals explains each ruling that the arbiter knows, and no other."""
    _, _, verdicts = sections("reference/journal.md")["proposal"].partition("| verdict | |")

    assert set(fields_of(verdicts)) == set(get_args(Ruling))


def test_every_label_is_explained() -> None:
    """The page on outcomes says where each label is given, and the reference names it."""
    table = sections("explanation/what-became-of-a-change.md")["How a change is judged"]
    reference = sections("reference/journal.md")["outcome"]

    assert [label for label in get_args(Label) if f"| `{label}` |" not in table or f"`{label}`" not in reference] == []


def test_the_testing_kit_is_listed() -> None:
    """The page on tests has each method of a story, each field of what is played, and each check of the contract."""
    told = sections("how-to/test-a-strategy.md")
    stories, contract = told["Tell a run, and see what comes of it"], told["Keep the contract"]

    public = [name for name, member in vars(Story).items() if inspect.isfunction(member) and not name.startswith("_")]
    assert [name for name in public if f"| `.{name}(" not in stories] == []
    assert [field.name for field in attrs.fields(Played) if f"| `{field.name}`" not in stories] == []
    assert [*fields_of(contract)] == [check.__name__ for check in CHECKS]


def shown_without_running(page: str) -> str:
    """The blocks of a page that no test runs: fragments of a script, and commands for a shell."""
    return "\n".join(block.text for block in blocks(page) if block.language in ("text", "sh"))


def command_named(name: str) -> click.Command | None:
    """Return a command of ours, or one that a distribution in contrib adds: that need not be installed."""
    for file in sorted((ROOT / "contrib").glob("steersman-*/pyproject.toml")):
        added = tomllib.loads(file.read_text())["project"]["entry-points"].get("steersman.commands", {})
        if name in added:
            return EntryPoint(name, added[name], file.parent.name, "").load()
    return main.get_command(click.Context(main), name)


@pytest.mark.parametrize("page", [page for page in PAGES if shown_without_running(page)])
def test_what_is_not_run_names_what_there_is(page: str) -> None:
    """In a block that cannot run on its own each command, each name of ours and each variable is one that exists."""
    text = shown_without_running(page)
    for command, sub in re.findall(r"^(?:\S*/)?steersman ([a-z]+)(?: ([a-z]+)\b)?", text, re.M):
        group = command_named(command)
        assert group is not None, command
        if isinstance(group, click.Group) and sub:
            assert sub in group.list_commands(click.Context(group)), f"{command} {sub}"
    assert [name for name in re.findall(r"\bsteersman\.([a-zA-Z_]+)\(", text) if name not in steersman.__all__] == []
    keys = {key.upper() for key in KEYS}
    assert [key for key in re.findall(r"\bSTEERSMAN__([A-Z]+(?:_[A-Z]+)*)", text) if key not in keys] == []
