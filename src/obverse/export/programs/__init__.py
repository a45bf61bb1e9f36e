"""Export formats that torch itself reads: `pt2` and TorchScript."""
