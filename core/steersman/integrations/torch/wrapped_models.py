"""What is known of a model through whatever is around it: PEFT, DDP, FSDP, torch.compile, a module of the user."""

from __future__ import annotations

import inspect
from typing import Any

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def shifts_labels(model: Any) -> bool:
    """Whether a model compares each label with the logits one place before: a causal language model of transformers.

    The outermost module that can say whether it generates is asked.
    """
    for module in model.modules() if model is not None else ():
        if callable(getattr(module, "can_generate", None)):
            return bool(module.can_generate()) and not _is_encoder_decoder(getattr(module, "config", None))
    return False


def positional_names(model: Any) -> tuple[str, ...]:
    """Return the names of the positional arguments of a forward: of the outermost that names any."""
    for module in model.modules():
        parameters = inspect.signature(module.forward).parameters.values()
        names = tuple(parameter.name for parameter in parameters if parameter.kind in _POSITIONAL)
        if names:
            return names
    return ()


def _is_encoder_decoder(config: Any) -> bool:
    text = config.get_text_config() if hasattr(config, "get_text_config") else None
    return any(bool(getattr(part, "is_encoder_decoder", False)) for part in (config, text))
