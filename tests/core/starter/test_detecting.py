"""Which trainer a folder is taken to use: the imports of its scripts, else what is installed."""

from __future__ import annotations

import pytest

from steersman.starter.detecting import Found, detected

SCRIPTS = {
    "TRL, which is built on transformers": (
        "from transformers import AutoTokenizer, TrainingArguments\nfrom trl import GRPOTrainer\n",
        Found("trl", "train.py imports trl"),
    ),
    "a Trainer that a function imports": (
        "def main():\n    from transformers import Seq2SeqTrainer\n",
        Found("hf", "train.py imports transformers"),
    ),
    "Lightning with a tokenizer": (
        "import lightning.pytorch as pl\nfrom transformers import AutoTokenizer\n",
        Found("lightning", "train.py imports lightning"),
    ),
    "a loop with a model of transformers": (
        "import torch.nn as nn\nfrom transformers import AutoModel\n",
        Found("plain", "train.py imports torch"),
    ),
    "nothing that trains": ("import json\nfrom .trl import x\n", Found("hf", "no script here trains, and transformers is installed")),
}  # fmt: skip


@pytest.mark.parametrize(("script", "found"), SCRIPTS.values(), ids=SCRIPTS)
def test_a_script_tells_the_trainer(tmp_path, script, found):
    """The most telling import of a script decides, wherever in it that stands; without one, an installed package."""
    (tmp_path / "train.py").write_text(script)

    assert detected(tmp_path, {"transformers", "torch"}.__contains__) == found


UNREAD = {
    "not UTF-8": (lambda path: path.write_bytes(b"# caf\xe9\nimport trl\n"), "is not UTF-8 text"),
    "no Python": (lambda path: path.write_text("import trl\nif:\n"), "is no Python of this interpreter (invalid syntax, line 2)"),
    "too large": (lambda path: path.write_text("import trl\n" + "#" * 1_000_000), "is larger than 1 MB"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "a link to nothing": (lambda path: path.symlink_to("gone"), "cannot be read (No such file or directory)"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "why"), UNREAD.values(), ids=UNREAD)
def test_what_cannot_be_read_is_told(tmp_path, make, why):
    """A script that cannot be read is named with the reason, and what is installed does not stand in for it; one that
    can be read does."""
    make(tmp_path / "train.py")
    alone = detected(tmp_path, {"transformers", "torch"}.__contains__)
    (tmp_path / "other.py").write_text("import trl\n")

    assert alone == Found("plain", "no script that could be read here trains", (f"train.py {why}",))
    assert detected(tmp_path) == Found("trl", "other.py imports trl", (f"train.py {why}",))


def test_most_scripts_decide(tmp_path):
    """Of several scripts the trainer that most use is taken; what lies in folders below is not looked at."""
    for name, text in {"a.py": "import trl", "b.py": "import torch", "c.py": "import torch"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "venv").mkdir()
    for name in ("d.py", "e.py", "f.py"):
        (tmp_path / "venv" / name).write_text("import trl")

    assert detected(tmp_path) == Found("plain", "b.py imports torch")


def test_without_anything_it_is_a_loop(tmp_path):
    """In an empty folder of an environment without any trainer it is a loop of one's own."""
    assert detected(tmp_path, lambda package: False) == Found(
        "plain", "no script here trains, and no trainer is installed"
    )
