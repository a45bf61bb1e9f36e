"""Many runs as one: sweeps and searches, folds, ensembles, comparisons and the criteria they are held against."""
