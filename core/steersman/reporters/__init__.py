"""Subscribers to the journal: what is printed, and what the trainer's own trackers are given."""
