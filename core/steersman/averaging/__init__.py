"""The mean of the weights of saved checkpoints, made piece by piece from their files."""
