"""Options of commands, as pure data."""
