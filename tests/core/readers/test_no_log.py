"""JSON that was taken for a log and is none: what it is, and what to do."""

import json

import pytest

from steersman.readers import UnreadableRun, json_rows, read

SUMMARY = {"eval/loss": 0.7, "_step": 4, "_runtime": 5.0, "_timestamp": 1.7e9, "_wandb": {"runtime": 5}}
COLUMNS = {"step": {"0": 1, "1": 2}, "loss": {"0": 2.0, "1": 1.0}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps(SUMMARY), "it is the summary of a W&B run"),
        (json.dumps(SUMMARY) + "\n", "it is the summary of a W&B run"),
        (json.dumps(SUMMARY, indent=2), "it is the summary of a W&B run"),
        (json.dumps(COLUMNS), "it is a table that is written column by column"),
        (json.dumps({"step": [1, 2], "loss": [2.0, 1.0]}, indent=1), "it is a table that is written column by column"),
        (json.dumps({"lr": 0.1, "model": "x"}), "it has no `log_history`"),
        ("[" * 200_000, "it is no log: lists or objects are nested in it too deep"),
        ('{"a":' * 100_000, "it is no log: lists or objects are nested in it too deep"),
    ],
)
def test_what_it_is(tmp_path, text, said):
    """A sentence says it, and none has the words of a parser."""
    path = tmp_path / "anything.json"
    path.write_text(text)
    with pytest.raises(UnreadableRun) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: {said}")
    assert "recursion" not in str(error.value)


def test_an_array_that_is_too_large(tmp_path, monkeypatch):
    """It would have to be in memory whole, so it is refused before it is parsed."""
    path = tmp_path / "log.json"
    path.write_text(json.dumps([{"step": step, "loss": 1.0} for step in range(100_000)]))
    assert len(read(path).records) == 100_000
    monkeypatch.setattr(json_rows, "_LONGEST_ARRAY", 2**20)
    with pytest.raises(UnreadableRun, match="one JSON array of more than 1 MB.*write one object a line"):
        read(path)
