"""Original pictures, each read compared with the digest in the manifest.

A file may be replaced during a run with its size and time kept. The digest of bytes that are read anyway costs a tenth
of decoding them or less, so every read is checked.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np

from obverse.errors import DataError
from obverse.imaging import PictureError, Pixels, joint_digest
from obverse.manifest import Manifest, Sample, Samples, StoredPicture

DIGEST_BYTES = 16


class Originals:
    """Decoder of the pictures of `samples`; DataError for a file whose content differs from the sample's digest.

    The digest of a sample with several views is joint over its files. So at the first read of such a sample all its
    files are read, and the digest of each is kept in memory that worker processes share; later reads need one file.
    """

    def __init__(self, manifest: Manifest, samples: Sequence[Sample]) -> None:
        self.store, self._samples = manifest.store, samples
        self._views = tuple(Samples.of(samples).views)
        num = len(samples) if len(self._views) > 1 else 0
        # An anonymous mapping takes no memory before it is written to, and forked workers inherit it.
        memory = np.frombuffer(mmap.mmap(-1, 1 + num * (1 + len(self._views) * DIGEST_BYTES)), np.uint8)
        self._is_known_N = memory[:num]
        self._known_NVD = memory[num : num * (1 + len(self._views) * DIGEST_BYTES)].reshape(
            num, len(self._views), DIGEST_BYTES
        )

    def decode(self, index: int, view: str, *, min_height: int = 0, min_width: int = 0) -> Pixels:
        """Upright RGB pixels of one view of sample `index`; PictureError names a picture that is unusable."""
        sample = self._samples[index]

        def require(picture: StoredPicture) -> None:
            if sample.digest is not None:
                self._require_same(index, sample, view, picture.digest())

        return self.store.decode(sample.views[view], min_height=min_height, min_width=min_width, require=require)

    def _require_same(self, index: int, sample: Sample, view: str, digest: str) -> None:
        number = self._views.index(view)
        if len(sample.views) == 1:
            is_same = joint_digest([digest]) == sample.digest
        elif self._is_known_N[index]:
            is_same = self._known_NVD[index, number].tobytes().hex() == digest
        else:
            digests = {name: digest if name == view else self._digest(path) for name, path in sample.views.items()}
            if joint_digest(digests.values()) != sample.digest:
                raise _changed(sample, tuple(sample.views.values()))
            for name, view_digest in digests.items():
                self._known_NVD[index, self._views.index(name)] = np.frombuffer(bytes.fromhex(view_digest), np.uint8)
            self._is_known_N[index] = 1  # last: another process may be reading this
            return
        if not is_same:
            raise _changed(sample, (sample.views[view],))

    def _digest(self, locator: str) -> str:
        try:
            return self.store.read(locator).digest()
        except PictureError as error:
            raise DataError(f"{locator!r}: {error}") from None


def _changed(sample: Sample, paths: Sequence[str]) -> DataError:
    what = f"{paths[0]!r} is" if len(paths) == 1 else f"one of {', '.join(map(repr, paths))} is"
    return DataError(f"{what} not the picture that the manifest recorded for sample {sample.id!r}: its content has "
                     "changed; put it back, or prepare and train anew")  # fmt: skip
