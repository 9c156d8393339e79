"""Lines in, lines out: files, stdin, stdout, and notices on stderr."""
