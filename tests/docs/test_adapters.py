"""docs/adapters: each file attaches Steersman to a real Trainer, in the way that its framework loads and calls it.

Neither framework is installed here. What stands in for one is no more than what the adapter touches, with the signatures
of the release that is named; the Trainer, the model and the supervision are real.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from pydantic import BaseModel
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

from steersman import ConfigError
from steersman.journal import JournalEntry, read

ADAPTERS = Path(__file__).parents[2] / "docs" / "adapters"
CONFIG = """
mode: act
console: false
check_every: 2
use: [./halves.py:Halves as halves, eval-loss]
hyperparameters: {learning_rate: {min: 1.0e-6}}
"""
HALVES = '''
from attrs import define

from steersman import Adjust, hookimpl


@define(eq=False)
class Halves:
    """Halve the rate at step 2."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Adjust("learning_rate", scale=0.5, because="a test") if check.step == 2 else None
'''


class AxolotlConfig(dict[str, Any]):
    """A config as Axolotl hands it on: its keys are attributes, and one that is not there is None.

    axolotl 0.19.0, axolotl/utils/dict.py, DictDefault.
    """

    def __getattr__(self, name: str) -> Any:
        return self.get(name)


class AxolotlSchema(BaseModel):
    """A config's schema: a key that it does not have is dropped, so a plugin names a class that is mixed into it.

    axolotl 0.19.0, axolotl/integrations/config.py, merge_input_args.
    """

    base_model: str


class BasePlugin:
    """What the adapter overrides, as it is declared there.

    axolotl 0.19.0, axolotl/integrations/base.py, BasePlugin.
    """

    def __init__(self) -> None: ...

    def register(self, cfg: dict[str, Any]) -> None: ...

    def get_input_args(self) -> str | None: ...

    def post_trainer_create(self, cfg: Any, trainer: Trainer) -> None: ...


class SwiftCallback(TrainerCallback):
    """A callback that is made from the arguments and the trainer.

    ms-swift 4.6.0, swift/callbacks/base.py, TrainerCallback.
    """

    def __init__(self, args: TrainingArguments, trainer: Trainer) -> None:
        self.args, self.trainer = args, trainer


@pytest.fixture
def framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that puts a module in a framework's place; the run's config lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("steersman.yaml").write_text(CONFIG, encoding="utf-8")
    Path("halves.py").write_text(HALVES, encoding="utf-8")

    def stand_in(name: str, **members: Any) -> ModuleType:
        parts = name.split(".")
        for i in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:i]), ModuleType(".".join(parts[:i])))
        module = sys.modules[name]
        vars(module).update(members)
        return module

    yield stand_in
    sys.modules.pop("steersman_axolotl", None)


def parts() -> dict[str, Any]:
    """What a Trainer of a small GPT-2 is made of: 4 steps, with a log, an evaluation and a checkpoint every 2."""
    torch.manual_seed(0)
    rows = [{"input_ids": row, "labels": row} for row in torch.randint(256, (32, 16))]
    config = GPT2Config(vocab_size=256, n_positions=16, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    args = TrainingArguments(
        "out", max_steps=4, logging_steps=2, eval_strategy="steps", eval_steps=2, save_steps=2, report_to=[],
        use_cpu=True, disable_tqdm=True, lr_scheduler_type="constant", learning_rate=1e-3,
    )  # fmt: skip
    return {"model": GPT2LMHeadModel(config), "args": args, "train_dataset": rows, "eval_dataset": rows[:4]}


def axolotl_plugin(framework: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load a plugin by the name of an Axolotl config, as axolotl 0.19.0, axolotl/integrations/base.py, load_plugin."""
    framework("axolotl.integrations.base", BasePlugin=BasePlugin)
    monkeypatch.syspath_prepend(ADAPTERS)
    module, _, cls = name.rpartition(".")
    return getattr(importlib.import_module(module), cls)()


def swift_trainer(framework: Any) -> Trainer:
    """Make a trainer as ms-swift does under `--external_plugins steersman_swift.py --callbacks steersman`.

    The file is executed as a module of its own (4.6.0, swift/utils/utils.py, import_external_file); a callback is
    looked up by name and made before the Trainer's own construction begins (swift/trainers/mixin.py, SwiftMixin).
    """
    swift = framework("swift.callbacks", TrainerCallback=SwiftCallback, callbacks_map={})
    spec = importlib.util.spec_from_file_location("_swift_external_adapter", ADAPTERS / "steersman_swift.py")
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))

    class SwiftTrainer(Trainer):
        def __init__(self, **given: Any) -> None:
            super().__init__(callbacks=[swift.callbacks_map["steersman"](given["args"], self)], **given)

    return SwiftTrainer(**parts())


def journaled(kind: str) -> list[JournalEntry]:
    return [entry for entry in read(Path("out/steersman/journal.jsonl")) if entry.kind == kind]


def is_supervised(trainer: Trainer) -> None:
    """Train; the run was scored, changed as the config allows, told without a complaint about its place, and ended."""
    trainer.train()

    [begin] = journaled("run")
    assert (Path(begin.data["config_source"]).name, begin.data["mode"]) == ("steersman.yaml", "act")
    assert not [told for told in begin.data["preflight"] if "steersman.supervise" in told]
    assert [(e.step, e.data["strategy"]) for e in journaled("score")] == [(2, "eval-loss"), (4, "eval-loss")]
    assert [(e.step, e.data["old"], e.data["new"]) for e in journaled("adjustment")] == [(2, 1e-3, 5e-4)]
    assert [e.step for e in journaled("checkpoint_saved")] == [2, 4]
    assert [e.step for e in journaled("end")] == [4]
    assert ["eval_steersman_score" in log for log in trainer.state.log_history if "eval_loss" in log] == [True, True]


def test_axolotl(framework, monkeypatch):
    """The plugin adds the key `steersman:` to Axolotl's schema, and supervises the trainer that Axolotl made."""
    plugin = axolotl_plugin(framework, "steersman_axolotl.SteersmanPlugin", monkeypatch)
    plugin.register({"steersman": "steersman.yaml"})
    module, _, cls = plugin.get_input_args().rpartition(".")
    schema = type("AxolotlInputConfig", (AxolotlSchema, getattr(importlib.import_module(module), cls)), {})
    cfg = AxolotlConfig(schema(base_model="x", steersman="steersman.yaml", other=1).model_dump(exclude_none=True))
    trainer = Trainer(**parts())
    plugin.post_trainer_create(cfg, trainer)

    assert cfg == {"base_model": "x", "steersman": "steersman.yaml"}
    is_supervised(trainer)


def test_axolotl_without_the_key(framework, monkeypatch):
    """Without `steersman:` the run has the default config, which changes nothing."""
    plugin = axolotl_plugin(framework, "steersman_axolotl.SteersmanPlugin", monkeypatch)
    trainer = Trainer(**parts())
    plugin.post_trainer_create(AxolotlConfig(), trainer)
    trainer.train()

    assert [(e.data["config_source"], e.data["mode"]) for e in journaled("run")] == [("no config", "advise")]
    assert journaled("adjustment") == []


def test_swift(framework):
    """The file registers the callback by its name, and supervises the trainer whose construction has just ended."""
    trainer = swift_trainer(framework)
    is_supervised(trainer)
    assert trainer.state.global_step == 4


def test_a_faulty_config_ends_the_construction(framework):
    """A config with a fault is told before training starts: the trainer is not made."""
    Path("steersman.yaml").write_text("mode: atc\n", encoding="utf-8")

    with pytest.raises(ConfigError, match="did you mean 'act'"):
        swift_trainer(framework)


@pytest.mark.parametrize("path", sorted(ADAPTERS.glob("*.py")), ids=lambda path: path.name)
def test_an_adapter_is_about_twenty_lines(path):
    """An adapter can be read at a glance, and be kept in one's own repository."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 25
