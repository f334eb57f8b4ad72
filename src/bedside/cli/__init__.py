"""The command line: one file a command group that parses, calls one function and prints."""
