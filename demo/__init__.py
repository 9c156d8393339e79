"""Text for `make demo`, made on the spot."""
