"""`steersman bench steer`: sick runs and their healthy twins, driven through the real supervisor."""
