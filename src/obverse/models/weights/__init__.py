"""Pretrained weights: files and folders of several libraries, the hub, and position tables of other grids."""
