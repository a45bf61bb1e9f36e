"""Every field of every recipe model says what it is, in its own docstring and so in the JSON Schema."""

import pytest

from obverse.recipe import recipe_schema
from obverse.recipe.specs.spec import Spec


def models(base=Spec):
    for kind in base.__subclasses__():
        if kind.__module__.startswith("obverse.recipe"):
            yield kind
        yield from models(kind)


@pytest.mark.parametrize("kind", sorted(set(models()), key=str), ids=lambda kind: kind.__name__)
def test_every_field_is_described(kind):
    texts = {name: field.get("description", "") for name, field in kind.model_json_schema()["properties"].items()}
    assert texts.keys() == kind.model_fields.keys()
    assert [name for name, text in texts.items() if not text.rstrip().endswith((".", "?"))] == []


def test_a_class_docstring_describes_no_fields():
    """A paragraph of `name: what it is` about several fields is where nobody looks for one of them."""
    paragraphs = {
        kind.__name__: [name for name in kind.model_fields if f"\n    {name}: " in f"\n    {kind.__doc__}"]
        for kind in models()
    }
    assert {name: fields for name, fields in paragraphs.items() if fields} == {}


def test_the_schema_has_the_descriptions():
    schema = recipe_schema()
    fields = [field for kind in [schema, *schema["$defs"].values()] for field in kind.get("properties", {}).items()]
    assert len(fields) > 100
    assert [name for name, field in fields if not field.get("description")] == []
