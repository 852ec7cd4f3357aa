"""Multimodal imbalance: data, encoders, the training loop and the finished methods."""
