"""Which metrics of an evaluation measure the task itself, and which way each is better."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

_HIGHER = re.compile(
    r"acc(uracy|uracies|uary)?|.*accuracy|balancedaccuracy|f1|f1score|fscore|fbeta|precision|recall|sensitivity"
    r"|specificity|em|exactmatch|(sacre)?bleu\d*|rouge.*|meteor|bertscore|chrf\+*|comet|map\d*|ap\d*|mrr|ndcg"
    r"|auc|auroc|auprc|mcc|matthews|pearsonr?|spearmanr?|kendall|kappa|iou|miou|dice|jaccard|r2|psnr|ssim"
    r"|rew|rewards?|winrate|hits|successrate|passrate|top[15]"
)
"""A word of a name that says: higher is better."""
_LOWER = re.compile(r"wer|cer|ter|mae|mse|rmse|rmsle|s?mape|err|error|errors|errorrate|fid|fad|hamming|brier|ece")
"""A word of a name that says: lower is better. It is stronger than one that says higher, as in `top1_error`."""
_TURNED = re.compile(
    r"drop(ped|s)?|gaps?|penalt(y|ies)|hack(ing|ed|s)?|neg|negatives?|negated|inv|inverse|inverted|rank(s|ed)?|lost|non|not"
    r"|diff|differences?|deltas?|changes?|decreased?|declines?|reduction|degradation|forgetting|forgotten|minus|un|mis"
    r"|(in|non|un|dis|anti|mis)(acc|rewards?|f1|correct|valid|consisten).*|miss(ed)?|fail(ed|s|ures?)?|false|disparity|distance"
    r"|costs?|uncertainty|variation|shift|baseline|violations?"
)
"""A word that turns the meaning of a name or qualifies it, as in `accuracy_drop`: no direction is guessed."""
_COMPLEMENT = re.compile(r"(?:^|[_/ ])1 ?- ?(?=[a-zA-Z])")
"""One minus something, as in `1-accuracy`."""
_PAIRS = frozenset({"exact match", "win rate", "success rate", "pass rate", "solve rate", "hit rate"})
_PASS_AT = re.compile(r"pass (k|\d+)\b")
_LOSS = frozenset({"loss", "losses", "perplexity", "ppl", "nll", "bpb", "bpc", "bits", "logloss"})
"""What is the eval loss, or the eval loss in another unit: no measure of its own beside it."""
_BOOKKEEPING = re.compile(
    r"runtime|seconds?|time|samples|steps?|epoch|tokens|count|num|len|lengths?|entropy|kl|lr|logits|logps?|chosen"
    r"|rejected|std|stderr|var|variance|thresholds?|weights?|ratio|memory|flops|support|size|learning|grad|tp|fp|tn|fn"
    r"|duration|terminated|throughput"
)
"""Words of what is counted beside the task: time, sizes, spreads, diagnostics of the method."""
_SPREADS, _REWARDS = frozenset({"min", "max", "median"}), frozenset({"reward", "rewards"})
"""The ends of a metric, as in `rewards/max`; but the `max_f1` of several thresholds is a metric."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|[^0-9A-Za-z+]+")


@lru_cache(maxsize=8192)
def is_higher_better(name: str) -> bool | None:
    """Return whether a higher value of this metric is better; None where it is no task metric or it is not known.

    Names are read in the spelling of any trainer: `eval_macro-avg-f1score`, `eval_math_accuracy`,
    `metrics/mAP50(B)`, `val-core/openai/gsm8k/acc/mean@1`. One with a word that turns its meaning, such as
    `eval_accuracy_drop` and `eval_reward_penalty`, is not known. Perplexity is the loss in another unit, so it is none.
    """
    words = _words(name)
    if _is_beside_the_task(words):
        return None
    if _is_turned(name, words):
        return None
    if any(_LOWER.fullmatch(word) for word in words):
        return False
    pairs = {f"{a} {b}" for a, b in pairwise(words)}
    if pairs & _PAIRS or _PASS_AT.search(" ".join(words)) or any(_HIGHER.fullmatch(word) for word in words):
        return True
    return None


@lru_cache(maxsize=8192)
def might_be(name: str) -> bool:
    """Whether a metric may be one of the task whose direction is not known: it is no loss and no bookkeeping."""
    return is_higher_better(name) is None and not _is_beside_the_task(_words(name))


def directions(names: Iterable[str], given: Mapping[str, bool] | None = None) -> dict[str, bool]:
    """Return each task metric among `names` with whether higher is better; those `given` by hand come first.

    A given name may leave out the prefix `eval_`.
    """
    known = dict.fromkeys(names)
    first = {found: higher for name, higher in (given or {}).items() if (found := _found(name, known)) is not None}
    told = {name: higher for name in known if (higher := is_higher_better(name)) is not None}
    return {**first, **{name: higher for name, higher in told.items() if name not in first}}


def of_unknown_direction(names: Iterable[str], given: Mapping[str, bool] | None = None) -> tuple[str, ...]:
    """Return the names among `names` that may be task metrics and whose direction nobody said."""
    known = dict.fromkeys(names)
    said = {_found(name, known) for name in given or {}}
    return tuple(name for name in known if name not in said and might_be(name))


def parsed(text: str) -> tuple[str, bool]:
    """Return the name and whether higher is better of `NAME`, `NAME:higher` or `NAME:lower`.

    Raises ValueError with a sentence where it is none, or where nobody knows the direction of NAME.
    """
    name, colon, direction = (part.strip() for part in text.strip().rpartition(":"))
    if not colon:
        name, direction = direction, ""
    if not name or (colon and direction not in ("higher", "lower")):
        raise ValueError(f"expected NAME, NAME:higher or NAME:lower, such as eval_accuracy:higher, got {text!r}")
    if direction:
        return name, direction == "higher"
    known = is_higher_better(name)
    if known is None:
        raise ValueError(f"it is not known which way {name!r} is better; give {name}:higher or {name}:lower")
    return name, known


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.split(name) if word]


def _is_turned(name: str, words: list[str]) -> bool:
    return any(_TURNED.fullmatch(word) for word in words) or _COMPLEMENT.search(name) is not None


def _is_beside_the_task(words: list[str]) -> bool:
    is_counted = any(_BOOKKEEPING.fullmatch(word) for word in words)
    ends = words if not _REWARDS.isdisjoint(words) else words[-1:]
    return is_counted or not _LOSS.isdisjoint(words) or not _SPREADS.isdisjoint(ends)


def _found(name: str, known: Mapping[str, object]) -> str | None:
    return name if name in known else f"eval_{name}" if f"eval_{name}" in known else None
