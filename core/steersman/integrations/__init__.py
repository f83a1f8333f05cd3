"""One integration for each trainer, thin, over the same supervisor; each imports its trainer only when asked for."""
