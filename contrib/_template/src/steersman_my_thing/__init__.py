"""`my-thing`: notice a jump of the gradient norm, and propose a lower learning rate."""

from steersman_my_thing.my_thing import MyThing

__all__ = ["MyThing"]
