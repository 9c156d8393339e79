"""A newcomer's first half hour, command by command, in a fresh environment."""
