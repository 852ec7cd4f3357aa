"""What `python -m mmlib train` does: open and build what the flags say, run, report."""
