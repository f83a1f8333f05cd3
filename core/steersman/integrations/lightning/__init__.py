"""Lightning: `Trainer(callbacks=[SteersmanCallback("steersman.yaml")])`, of `pytorch_lightning` and of `lightning`."""

from steersman.integrations.lightning.callback import SteersmanCallback

LightningCallback = SteersmanCallback

__all__ = ["LightningCallback", "SteersmanCallback"]
