"""What verbs print: answers, tables, intervals, progress."""
