"""Many runs: a tree of them over all cores or over a cluster, streamed to a file, taken up where it was cut."""
