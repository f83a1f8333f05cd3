import pytest

from steersman.stages import bare, ours, stage_of


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("train/loss", "train"), ("training_loss", "train"), ("Loss/train", "train"), ("loss", None),
        ("eval_loss", "eval"), ("val/acc", "eval"), ("loss/valid", "eval"), ("pl/valid_acc", "eval"),
        ("validation_loss", "eval"), ("acc_val", "eval"), ("Val_loss", "eval"),
        ("test/loss", "test"), ("loss_test", "test"), ("val/test_score/gsm8k", "eval"),
        ("rewards/test_cases/mean", None), ("valuation", None), ("interval", None), ("latest_loss", None), ("trainer/global_step", None),
    ],
)  # fmt: skip
def test_the_stage_a_name_tells(name, stage):
    """A word before, after or within a name tells its stage, where it stands by itself; the first before any other."""
    assert stage_of(name) == stage


def test_the_word_is_taken_away_where_it_is_first_or_last():
    """What is left is the metric; a word in the midst of a name belongs to it."""
    assert bare("train/loss", "train") == "loss"
    assert bare("loss/valid", "eval") == "loss"
    assert bare("pl/valid_acc", "eval") == "pl/valid_acc"
    assert bare("loss", "train") == "loss"


def test_the_names_that_strategies_read():
    """An evaluation's name begins with `eval_`; a second loader of Lightning's is a set of its own."""
    assert ours("train", "train_loss") == "loss"
    assert ours("eval", "val_loss") == ours("eval", "loss/valid") == ours("eval", "loss") == "eval_loss"
    assert ours("eval", "val_loss/dataloader_idx_1") == "eval_dataloader_1_loss"
    assert ours("train", "reward") == "reward"
