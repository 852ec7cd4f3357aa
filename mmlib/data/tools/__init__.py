"""What the commands do with a data folder: prepare it, check it, write a made-up sample."""
