"""The machines of a cluster, through the ordinary interface of an installed engine: Dask or Ray."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from steersman.results.run import ReplayedRun
from steersman.scale.local import Function

AHEAD = 64
"""Pieces of work handed out at once."""


_PATIENCE = 10.0
"""Seconds to wait for a scheduler."""


class NoEngine(Exception):
    """An engine is not installed or cannot be reached; the message says what to do."""


def over_dask(
    function: Function, pieces: Iterable[tuple[str, ...]], address: str | None
) -> Iterator[list[ReplayedRun]]:
    """Yield what `function` makes of each piece on the workers of a Dask cluster.

    `address` is that of its scheduler, such as `tcp://10.0.0.1:8786`; without one, a cluster of this machine is made.
    Raises NoEngine where `distributed` is not installed or the scheduler cannot be reached.
    """
    distributed: Any = _imported("distributed", "dask", "steersman[scale]")
    try:
        _knock(address)
        client = distributed.Client(address, timeout=20, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise NoEngine(f"the Dask scheduler {address} cannot be reached: {error}") from None
    with client:
        waiting = iter(pieces)
        done = distributed.as_completed(loop=client.loop)
        for piece in islice(waiting, AHEAD):
            done.add(client.submit(function, piece, pure=False))
        for future in done:
            result = future.result()
            future.release()
            for piece in islice(waiting, 1):
                done.add(client.submit(function, piece, pure=False))
            yield result


def over_ray(function: Function, pieces: Iterable[tuple[str, ...]], address: str | None) -> Iterator[list[ReplayedRun]]:
    """Yield what `function` makes of each piece on the workers of a Ray cluster.

    `address` is that of its head, `auto` or `ray://host:10001`; without one, a cluster of this machine is made.
    Raises NoEngine where `ray` is not installed or the head cannot be reached.
    """
    ray: Any = _imported("ray", "ray", "ray")
    was_begun = bool(ray.is_initialized())
    if not was_begun:
        try:
            ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level="error")
        except (ConnectionError, OSError, ValueError) as error:
            raise NoEngine(f"the Ray head {address} cannot be reached: {error}") from None
    try:
        remote = ray.remote(_call).options(num_cpus=1)
        held = ray.put(function)
        waiting = iter(pieces)
        under_way = [remote.remote(held, piece) for piece in islice(waiting, AHEAD)]
        while under_way:
            [first], under_way = ray.wait(under_way, num_returns=1)
            yield ray.get(first)
            under_way += [remote.remote(held, piece) for piece in islice(waiting, 1)]
    finally:
        if not was_begun:
            ray.shutdown()


def _call(function: Function, piece: tuple[str, ...]) -> list[ReplayedRun]:
    return function(piece)


def _knock(address: str | None) -> None:
    """Raise OSError or ValueError at once where nobody listens at `tcp://host:port`; Dask would take a minute."""
    parts = urlsplit(address if address and "://" in address else f"tcp://{address}")
    if address is not None and parts.scheme == "tcp":
        if not parts.hostname or not parts.port:
            raise ValueError("expected an address such as tcp://10.0.0.1:8786")
        socket.create_connection((parts.hostname, parts.port), timeout=_PATIENCE).close()


def _imported(module: str, engine: str, package: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        raise NoEngine(f"--engine {engine} needs {module}, which is not installed: pip install '{package}'") from None
