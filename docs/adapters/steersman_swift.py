"""Supervises a run of ms-swift: `swift sft --external_plugins steersman_swift.py --callbacks steersman ...`."""

from swift.callbacks import TrainerCallback, callbacks_map

import steersman

CONFIG = "steersman.yaml"  # None for the default, which changes nothing


class AttachSteersman(TrainerCallback):
    """Attaches Steersman at the end of the trainer's construction: before it there is nothing to attach to."""

    def on_init_end(self, args, state, control, **kwargs):
        steersman.supervise(self.trainer, CONFIG)


callbacks_map["steersman"] = AttachSteersman
