"""Before a run: what it needs of memory and time, and which rate to try."""
