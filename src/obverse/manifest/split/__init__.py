"""Which sample is train, val or test: strategies, groups that stay together, and splits that were stored."""
