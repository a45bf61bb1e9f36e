"""The metrics, one file per family of related metrics; `obverse.metrics.registry` joins them into one table."""
