"""Recognition of the network in a weight file, and the pretrained backbones at hand."""

from .candidates import Candidate, candidates
from .recognise import Recognised, likely, recognise

__all__ = ["Candidate", "Recognised", "candidates", "likely", "recognise"]
