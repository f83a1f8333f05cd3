"""`my-thing` keeps the contract of every strategy."""

from __future__ import annotations

from steersman.testing import StrategyContract

from steersman_my_thing import MyThing


class TestMyThing(StrategyContract):
    """Every check of the contract, with the defaults and with options that make it act often."""

    strategy = MyThing
    options = ({}, {"factor": 1.01, "window": 2, "cut": 0.9})
