"""Errors in process pools."""

import pickle
import signal

import pytest

from obverse.errors import ElsewhereError, Interrupted, ObverseError
from obverse.imaging import PictureError

ARGUMENTS = {Interrupted: ("stopped", signal.SIGTERM), ElsewhereError: (66,)}


def subclasses(kind):
    return {kind, *(inner for sub in kind.__subclasses__() for inner in subclasses(sub))}


@pytest.mark.parametrize("kind", sorted({*subclasses(ObverseError), PictureError}, key=lambda kind: kind.__name__))
def test_every_error_survives_pickling(kind):
    error = kind(*ARGUMENTS.get(kind, ("a sentence",)))
    error.details, error.is_reported = ("a line",), True
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.exit_code) == (kind, str(error), error.exit_code)
    assert (again.details, again.is_reported) == (("a line",), True)
