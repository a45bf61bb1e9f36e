"""Planning of a run: its memory and time, and a learning rate to start with."""
