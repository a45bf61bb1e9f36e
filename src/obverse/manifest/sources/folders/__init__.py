"""Folders as a source: the tree of files, its layouts, and the words that tell views, classes and splits."""
