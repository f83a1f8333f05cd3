"""`steersman bench select`: which checkpoint a strategy keeps of recorded runs, and how good that was."""
