"""Protocols: each turns a request into samples, and predictions into an answer; none knows the HTTP library."""

from .call import Answer, Call
from .hugging_face import classify
from .open_inference import infer, model_metadata, model_ready, server_metadata
from .own import list_models, predict, training_picture

__all__ = [
    "Answer",
    "Call",
    "classify",
    "infer",
    "list_models",
    "model_metadata",
    "model_ready",
    "predict",
    "server_metadata",
    "training_picture",
]
