"""`steersman demo`: a real training with a real fault, supervised, in a few seconds on a laptop."""
