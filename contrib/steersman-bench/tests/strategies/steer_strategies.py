"""Strategies that misbehave, for the tests of `bench steer`."""

from __future__ import annotations

import time

from attrs import define

from steersman import Adjust, hookimpl


@define(eq=False)
class Raises:
    """Raise at every check."""

    @hookimpl
    def diagnose(self, run, check):
        raise ValueError("no such luck")


@define(eq=False)
class Sleeps:
    """Take a minute a call."""

    @hookimpl
    def propose_adjustments(self, run, check):
        time.sleep(60)


@define(eq=False)
class Nonsense:
    """Propose what is no proposal."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return "faster, please"


@define(eq=False)
class Halves:
    """Halve the learning rate at the first check, for good."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Adjust("learning_rate", scale=0.5, because="always", lasting=True) if not run.adjustments else None


@define(eq=False)
class Unknown:
    """Propose to change what no run has."""

    @hookimpl
    def propose_adjustments(self, run, check):
        return Adjust("learning_rat", scale=0.5, because="a slip of the pen")


@define(eq=False)
class FailsAtOnce:
    """Raise as the run begins."""

    @hookimpl
    def on_train_begin(self, run):
        raise ValueError("no such luck")
