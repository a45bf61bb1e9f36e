"""Studies of several runs: sweeps, searches, folds, ensembles, comparisons and acceptance criteria."""
