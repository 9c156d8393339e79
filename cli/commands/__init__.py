"""The commands, one file each. What is heavy is imported when a command runs."""
