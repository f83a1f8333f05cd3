"""Whether a directory or a file holds weights that can be used, as far as its names, sizes and headers tell."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SUFFIXES = frozenset(
    {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".msgpack", ".h5", ".npz", ".onnx", ".distcp"}
)
_STATE = re.compile(
    r"(rng_state|optimizer|scheduler|scaler|training_args|trainer_state|random_states|sampler|dl_state_dict).*|.*optim_states\.pt"
)
"""What a trainer saves beside the weights, to go on from them; so are the names of its folders."""
_BOOKS = re.compile(
    r".*config\.json|.*\.index\.json|tokenizer.*|special_tokens_map\.json|added_tokens\.json|vocab.*|merges\.txt|"
    r"chat_template.*|steersman\.json|README\.md|latest|zero_to_fp32\.py|\..*"
)
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\..+)")
_SMALLEST = 16
"""Fewer bytes than any of these formats begins with."""
_LFS = b"version https://git-lfs"
_DEPTH = 4


def flaw(place: Path) -> str | None:
    """Return why a checkpoint cannot be used, as it follows on `but`; None where nothing speaks against it.

    A directory needs weights that are whole: files with a suffix that weights have, or, where there is none, any file
    that is no known companion of weights. Files of safetensors and of torch.save tell whether they are cut short; an
    index of shards tells which there must be. Nothing else is read.
    """
    try:
        if not place.is_dir():
            return _flaw_of_file(place)
        files = list(_files(place, _DEPTH))
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    if not files:
        return "it is empty"
    own = [file for file in files if not is_state(file.relative_to(place))]
    weights = [file for file in own if file.suffix in _SUFFIXES]
    if not weights:
        others = [file for file in own if not _BOOKS.fullmatch(file.name) and _size(file) > 0]
        return None if others else "it holds no weights"
    missing = next(_missing(own), None)
    if missing is not None:
        return f"{missing.name} is missing"
    flaws = ((file, _flaw_of_file(file)) for file in weights)
    return next((f"{file.relative_to(place)}: {why}" for file, why in flaws if why is not None), None)


def _files(folder: Path, depth: int) -> Iterator[Path]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir():
            yield from _files(Path(entry.path), depth - 1) if depth else ()
        else:
            yield Path(entry.path)


def is_weights(file: Path) -> bool:
    """Whether a file has a suffix that weights have."""
    return file.suffix in _SUFFIXES


def is_state(file: Path) -> bool:
    """Whether a file, or a folder it lies in, is what a trainer saves to go on from, beside the weights."""
    return any(_STATE.fullmatch(part) for part in file.parts)


def _missing(files: list[Path]) -> Iterator[Path]:
    """Yield the shards that an index, or the number in the name of another shard, says there must be."""
    for file in files:
        if file.name.endswith(".index.json"):
            named = {file.with_name(name) for name in _shards(file)}
            yield from (shard for shard in sorted(named) if not shard.is_file())
        elif match := _SHARD.fullmatch(file.name):
            stem, _, count, suffix = match.groups()
            shards = (file.with_name(f"{stem}-{at:05d}-of-{count}{suffix}") for at in range(1, int(count) + 1))
            yield from (shard for shard in shards if not shard.is_file())


def _shards(index: Path) -> set[str]:
    try:
        told: Any = json.loads(index.read_bytes())
        return {str(name) for name in told["weight_map"].values()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return set()


def _flaw_of_file(file: Path) -> str | None:
    size = _size(file)
    if size == 0:
        return "it is empty"
    if file.suffix not in _SUFFIXES:
        return None
    with file.open("rb") as opened:
        first = opened.read(len(_LFS))
    if first == _LFS:
        return "it is a Git LFS pointer, not the weights"
    if file.suffix == ".safetensors":
        is_whole = _is_whole_safetensors(file, size)
    elif first.startswith(b"PK"):  # as torch.save writes them
        import zipfile

        is_whole = zipfile.is_zipfile(file)
    else:
        is_whole = size >= _SMALLEST
    return None if is_whole else "it is cut short"


def _is_whole_safetensors(file: Path, size: int) -> bool:
    """Whether the file is as long as its header says: 8 bytes, the header, and up to where its last tensor ends."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if 8 + length > size:
            return False
        try:
            header: Any = json.loads(opened.read(length))
            ends = [told["data_offsets"][1] for name, told in header.items() if name != "__metadata__"]
            return bool(size >= 8 + length + max(ends, default=0))
        except (ValueError, KeyError, AttributeError, TypeError, IndexError):
            return False


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
