"""The Discord edge: events and commands in, messages and audio out."""
