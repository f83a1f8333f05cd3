"""`import steersman`: every public name, imported when first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import steersman

_NEED_TRANSFORMERS = {"SteersmanCallback", "supervise"}


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_every_public_name_is_there():
    """Every name of `__all__` can be imported, and is no module that happens to be called so."""
    for name in set(steersman.__all__) - _NEED_TRANSFORMERS:
        assert not isinstance(getattr(steersman, name), ModuleType)
        assert name in dir(steersman)


def test_an_unknown_name_is_an_attribute_error():
    """A name that is not there is answered as by any module."""
    with pytest.raises(AttributeError, match="module 'steersman' has no attribute 'replai'"):
        _ = steersman.replai


def test_importing_steersman_imports_nothing_else():
    """The bare import loads no library and none of our own rooms."""
    result = _python(
        "import sys; before = set(sys.modules); import steersman; print(sorted(set(sys.modules) - before))"
    )
    assert "attr" not in result.stdout
    assert "steersman." not in result.stdout


def test_no_module_hides_a_public_name():
    """No module of ours bears the name of a public name, or importing it would put it in the name's place."""
    modules = {path.stem for path in Path(steersman.__file__).parent.iterdir()}
    assert not modules & set(steersman.__all__)
