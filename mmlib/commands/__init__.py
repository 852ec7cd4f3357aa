"""What `python -m mmlib` does."""
