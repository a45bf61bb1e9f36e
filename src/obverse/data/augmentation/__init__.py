"""Augmentation: random changes of single training pictures and mixing within a batch."""
