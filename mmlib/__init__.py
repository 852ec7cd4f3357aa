"""Multimodal imbalance: data, encoders, the training loop, the methods, their evidence."""
