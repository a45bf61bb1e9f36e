"""Pretrained weights: files and folders of several libraries, the hub, and position embeddings of other grids."""
