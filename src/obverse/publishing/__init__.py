"""Publication of a model as a Hugging Face repository: bundle, weights for timm, model card."""

from .folder import Published, publish
from .hub import push, require_name

__all__ = ["Published", "publish", "push", "require_name"]
