"""Pictures that show the same: copies, near copies, mirror images, scenes and parts of one picture."""
