"""What every trainer built on torch shares: the learning-rate factor, the token count, the ranks."""
