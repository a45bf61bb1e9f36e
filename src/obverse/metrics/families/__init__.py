"""The metrics, one file per family of related ones; `obverse.metrics.registry` makes one table of them."""
