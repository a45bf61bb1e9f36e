"""HTTP: the application, the guard in front of it, connections with clocks, and the process."""
