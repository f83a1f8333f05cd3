"""The cases that run through the trainers people use: the Trainer of Hugging Face, and TRL's GRPO."""
