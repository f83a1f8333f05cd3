"""What a user adds to a training script, for each trainer: the lines to paste, and the options beside them."""

from __future__ import annotations

import json

from attrs import frozen

from steersman.starter.detecting import Trainer


@frozen
class Script:
    """How a trainer is called, the lines that attach Steersman to it, and what else helps, as lines of comment."""

    title: str
    lines: tuple[str, ...]
    beside: tuple[str, ...] = ()


_SCORE_CHOOSES = (
    "In its arguments, so that there are evaluations, and the score chooses the checkpoint that is loaded at the end:",
    '  eval_strategy="steps", eval_steps=100, save_strategy="steps", save_steps=100,',
    '  metric_for_best_model="steersman_score", greater_is_better=False, load_best_model_at_end=True',
)


def script_for(trainer: Trainer, config: str) -> Script:
    """Return what is added to a script of that trainer, for the config at that path."""
    path = json.dumps(config, ensure_ascii=False)
    supervise = ("import steersman", f"steersman.supervise(trainer, {path})", "trainer.train()")
    if trainer == "hf":
        return Script("the Hugging Face Trainer", supervise, _SCORE_CHOOSES)
    if trainer == "trl":
        return Script("a trainer of TRL", supervise, _SCORE_CHOOSES)
    if trainer == "lightning":
        return Script(
            "Lightning",
            (
                "import steersman",
                f"watch = steersman.LightningCallback({path})",
                "trainer = Trainer(callbacks=[watch, ...])",
            ),
            (
                "Beside it in callbacks=, so that the score chooses the checkpoint that is kept:",
                '  ModelCheckpoint(monitor="steersman_score", mode="min")',
            ),
        )
    return Script(
        "a loop of your own",
        (
            "import steersman",
            f'with steersman.attach(optimizer, {path}, folder="runs/mine", total_steps=1000, eval_every=100) as loop:',
            "    ...  # your loop; in it, where you have them:",
            "    loop.log(step, loss=loss)",
            "    judged = loop.evaluate(step, loss=eval_loss)",
            "    if loop.should_stop: break",
        ),
        ("judged.is_best says when to save the best; loop.saved(step, path) names what was saved.",),
    )
