"""The trainers of TRL: the KL penalty, reward weights, temperature, and a gate on the reward."""
