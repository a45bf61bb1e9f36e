"""Recognition of the network in a weight file, and the pretrained backbones at hand."""

from .candidates import Candidate, budget_of, candidates, is_cached
from .recognise import Recognised, likely, recognise

__all__ = ["Candidate", "Recognised", "budget_of", "candidates", "is_cached", "likely", "recognise"]
