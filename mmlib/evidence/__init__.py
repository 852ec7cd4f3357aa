"""What `make tuning` and `make results` do: the runs behind the tables of `assets/results/`."""
