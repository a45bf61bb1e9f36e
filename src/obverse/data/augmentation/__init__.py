"""Random changes of training pictures: of one picture, and of the batch."""
