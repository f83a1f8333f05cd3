"""Supervises a run of Axolotl: `plugins: [steersman_axolotl.SteersmanPlugin]` in its YAML."""

from axolotl.integrations.base import BasePlugin
from pydantic import BaseModel

import steersman


class SteersmanArgs(BaseModel):
    """The key `steersman:` of an Axolotl config: the path of ours. Without it nothing is changed."""

    steersman: str | None = None


class SteersmanPlugin(BasePlugin):
    """Attaches Steersman to the trainer that Axolotl has made."""

    def get_input_args(self):
        return "steersman_axolotl.SteersmanArgs"

    def post_trainer_create(self, cfg, trainer):
        steersman.supervise(trainer, cfg.steersman)
