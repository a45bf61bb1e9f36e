"""Source: tables of samples, from text to rows, and from cells to pictures and labels."""
