"""The tasks of the cases: small models on data made from a seed, or on the texts that every Python ships."""
