"""How a table's text becomes rows, and its cells become pictures."""
