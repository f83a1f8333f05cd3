"""Which names are metrics of the task, and which way each is better."""

from __future__ import annotations

import pytest

from steersman.results.task_metrics import directions, is_higher_better, might_be, of_unknown_direction, parsed

HIGHER = (
    "accuracy", "eval_accuracy", "eval_math_accuracy", "eval_accuracy_thresh", "eval_macro-avg-f1score", "eval_f1_micro",
    "eval_f1", "eval_precision", "eval_recall", "eval_exact_match", "eval_em", "eval_bleu", "eval_sacrebleu",
    "eval_rouge1", "eval_rougeL", "eval_rougeLsum", "eval_meteor", "eval_bertscore_f1", "metrics/mAP50(B)",
    "metrics/mAP50-95(B)", "metrics/precision(B)", "eval_auc", "eval_matthews_correlation", "eval_mcc", "eval_pearson",
    "eval_spearmanr", "eval_sts-dev_spearman_cosine", "eval_pass@1", "eval_pass@k", "eval_reward",
    "eval_rewards/accuracies", "eval_rewards/margins", "eval_rewards/format_reward/mean", "eval_win_rate",
    "val-core/openai/gsm8k/acc/mean@1", "val-aux/openai/gsm8k/reward/mean@1", "pl/valid_acc", "val_MulticlassAccuracy",
    "eval/mean_reward", "eval_cosine_ndcg@10", "eval_r2", "eval_acc_norm", "eval_mean_token_accuracy",
    "eval_cosine_max_f1", "eval_hits@10", "eval_zh-en_sacrebleu",
    "eval_NoAns_f1", "eval_dataloader_1_acc", "eval_rouge-1-f1", "eval_rouge_1", "eval_ranking_ndcg",
)  # fmt: skip
LOWER = ("eval_wer", "test_cer", "eval_mae", "eval_mse", "eval_rmse", "eval_error_rate", "eval_top1_error", "val_ece")
NONE = (
    "eval_loss", "eval_yahma/alpaca-cleaned_loss", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second",
    "eval_perplexity", "eval_gen_len", "eval_num_tokens", "eval_entropy", "eval_logits/chosen", "eval_logps/rejected",
    "eval_rewards/chosen", "eval_rewards/rejected", "eval_reward_std", "eval_rewards/format_reward/std", "epoch",
    "eval_cosine_accuracy_threshold", "eval_model_preparation_time", "critic/rewards/max", "eval/mean_ep_length",
    "eval_max_reward", "eval_sampling/sampling_logp_difference/mean", "eval_exact_match_stderr",
    "eval_clip_ratio/low_mean", "learning_rate", "comparison/tp", "val-aux/num_turns/mean",
)  # fmt: skip
TURNED = (
    "eval_inaccuracy", "eval_nonaccuracy", "eval_accuracy_drop", "eval_accuracyDrop", "eval_1-accuracy", "eval_1 - f1",
    "eval_one_minus_f1", "eval_reward_penalty", "eval_reward_hacking", "eval_neg_reward", "eval_negative_reward",
    "eval_f1_rank", "eval_accuracy_gap", "eval_non_accuracy", "eval_inverse_f1", "eval_accuracy_diff", "eval_bleu_delta",
    "eval_accuracy_decrease", "eval_accuracy_forgetting", "eval_error_drop", "eval_neg_mse", "eval_false_positive_recall",
)  # fmt: skip


@pytest.mark.parametrize("name", TURNED)
def test_a_word_that_turns_the_meaning(name):
    """A drop of the accuracy is no accuracy: the direction is unknown, so it is asked for and never guessed."""
    assert is_higher_better(name) is None
    assert might_be(name)


@pytest.mark.parametrize("name", HIGHER)
def test_higher_is_better(name):
    """In the spelling of the Trainer, TRL, Lightning, Ultralytics, sentence-transformers and verl."""
    assert is_higher_better(name) is True


@pytest.mark.parametrize("name", LOWER)
def test_lower_is_better(name):
    """Errors and distances; a name that says both, such as top1_error, is one of these."""
    assert is_higher_better(name) is False


@pytest.mark.parametrize("name", NONE)
def test_no_metric_of_the_task(name):
    """Losses, times, counts, spreads and the diagnostics of a method are none, and are not asked about either."""
    assert is_higher_better(name) is None
    assert not might_be(name)


def test_a_direction_that_nobody_said_is_not_guessed():
    """A name that says nothing is told as unknown until its direction is given, with or without eval_."""
    names = ("eval_loss", "eval_quality", "eval_accuracy", "eval_runtime")
    assert of_unknown_direction(names) == ("eval_quality",)
    assert of_unknown_direction(names, {"quality": False}) == ()
    assert directions(names) == {"eval_accuracy": True}
    assert directions(names, {"quality": False}) == {"eval_quality": False, "eval_accuracy": True}


def test_what_is_given_wins():
    """A direction given by hand is stronger than the name, and a name that is not there is left out."""
    assert directions(("eval_reward",), {"eval_reward": False, "absent": True}) == {"eval_reward": False}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eval_quality:higher", ("eval_quality", True)),
        (" a:b : lower ", ("a:b", False)),
        ("eval_wer", ("eval_wer", False)),
        ("accuracy", ("accuracy", True)),
    ],
)
def test_given_by_hand(text, expected):
    """A name with its direction, or a name that says it."""
    assert parsed(text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected NAME, NAME:higher or NAME:lower"),
        (":higher", "expected NAME, NAME:higher or NAME:lower"),
        ("eval_x:up", "such as eval_accuracy:higher, got 'eval_x:up'"),
        ("eval_quality", "it is not known which way 'eval_quality' is better; give eval_quality:higher or"),
    ],
)
def test_given_badly(text, said):
    """A text that is none, and a name whose direction nobody knows, are sentences."""
    with pytest.raises(ValueError, match=r".") as error:
        parsed(text)
    assert said in str(error.value)
