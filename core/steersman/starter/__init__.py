"""The first config of a user: for which trainer, and what is written into it."""
