"""Source: folder trees, their layouts, and the words that mark views and splits."""
