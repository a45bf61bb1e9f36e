"""Quantised files of a model: int8 arithmetic, or weights stored as fp16; as ONNX or in OpenVINO's format.

Only the network between the fitted pictures and the embeddings is changed. The geometry before it stays exact, because
a picture that is resized in int8 is another picture, and the decision after it stays fp32.
"""

from .files import File, Method, exact_and_quantised, require_usable

__all__ = ["File", "Method", "exact_and_quantised", "require_usable"]
