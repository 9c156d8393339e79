"""Speed, measured: tables, not tests. `make benchmark` prints them all."""
