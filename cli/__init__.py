"""The command line: parsing, streams, console. No model logic."""
