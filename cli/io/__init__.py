"""Input and output: files, stdin and stdout, and notices on stderr."""
