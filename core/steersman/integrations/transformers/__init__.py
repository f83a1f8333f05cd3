"""The Hugging Face Trainer, and everything built on it: `steersman.supervise(trainer, "steersman.yaml")`."""

from steersman.integrations.transformers.callback import SteersmanCallback
from steersman.integrations.transformers.supervise import supervise

__all__ = ["SteersmanCallback", "supervise"]
