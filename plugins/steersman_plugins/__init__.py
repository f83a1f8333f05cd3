"""The strategies that ship with Steersman, found through the same entry points as anybody's."""
