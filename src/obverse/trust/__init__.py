"""Trust: what is fitted on predictions, and what is measured of them beside their quality."""

from .acceptance import accepted_in_folds, accepted_on_val, fit_acceptance, wanted_error
from .decisions import decision_facet, decision_topics, write_decisions
from .foreign import foreign_sentence, foreign_verdict, foreign_warnings, measure_foreign, write_foreign
from .outliers import fit_detector, scaled_on_val
from .slices import slice_facets, slices_topic
from .suspects import Listed, listed_suspects, pooled_suspects, suspects_topic

__all__ = [
    "Listed",
    "accepted_in_folds",
    "accepted_on_val",
    "decision_facet",
    "decision_topics",
    "fit_acceptance",
    "fit_detector",
    "foreign_sentence",
    "foreign_verdict",
    "foreign_warnings",
    "listed_suspects",
    "measure_foreign",
    "pooled_suspects",
    "scaled_on_val",
    "slice_facets",
    "slices_topic",
    "suspects_topic",
    "wanted_error",
    "write_decisions",
    "write_foreign",
]
