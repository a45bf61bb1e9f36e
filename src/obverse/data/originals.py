"""Pictures as their files have them, compared with what the manifest recorded of their bytes.

A file may be exchanged behind a run's back with its size and time kept. Whoever decodes a picture has its bytes, and
their digest costs a tenth of the decoding or less, so every read is compared.
"""

from __future__ import annotations

import mmap
from collections.abc import Sequence

import numpy as np

from obverse.errors import DataError
from obverse.imaging import PictureError, Pixels, joint_digest
from obverse.manifest import Manifest, Sample, Samples
from obverse.manifest.store import StoredPicture

DIGEST_BYTES = 16


class Originals:
    """Decodes pictures of `samples`; DataError for one that is not the picture of the sample's digest.

    A digest of several views is one of all of them: at the first read of a sample all its files are read, and from then
    on each is compared alone. What is known so is in memory that worker processes share.
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
