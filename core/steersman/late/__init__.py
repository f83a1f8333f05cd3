"""Scores that come after their evaluation: recorded by anybody, heard by a run at its checks, made anew by rank."""
