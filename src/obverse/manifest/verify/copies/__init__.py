"""Detection of pictures with the same content: copies, near copies, mirror images, scenes and parts of a picture."""
