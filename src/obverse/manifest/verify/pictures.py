"""Verification: decodes every picture once before a run, so that no unreadable picture stops the run later.

Each file is read once, digested and examined; only the facts are kept. Files are untrusted and therefore decoded in
child processes: a decoder that crashes ends a child, not the run. Later stages decode in their own process, at scales
that were verified here (`require_decodable`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from obverse.cpus import num_allowed_cpus
from obverse.errors import DataError
from obverse.imaging import Examination, PictureError, Sandbox, content_digest, examine_picture, shared_sandbox
from obverse.manifest.sample import Finding
from obverse.manifest.store import PictureStore, StoredPicture, part_of

from .facts import PictureFacts

# Pictures per task: few enough for a smooth progress bar, enough that passing a task to a child costs little.
CHUNK = 32
CHUNK_BYTES = 2**20
# Minimum decoding size for verification: twice the input of most pretrained weights (`data/geometry.py` decodes JPEGs
# at twice the size). Pictures that are used at another size are decoded again.
USUAL_USE = (512, 512)

# Examination, digest (empty when unreadable), number of bytes, and for a part of a picture the digest of the whole.
Seen = tuple[Examination, str, int, str | None]
# A picture, and whether its details are needed.
Wanted = tuple[StoredPicture, bool]
Work = Callable[[Sequence[Wanted]], list[Examination]]


def verify_pictures(
    store: PictureStore,
    paths: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    details: bool | Collection[str] = False,
    use: tuple[int, int] = USUAL_USE,
    sandbox: Sandbox | None = None,
) -> PictureFacts:
    """Facts about the pictures at `paths` (locators), in their order.

    progress: called with the number of pictures verified so far and their total.
    details: whether to measure traits of the content and thumbprints too, or the paths for which to do so.
    use: minimum (height, width) of later decoding.
    sandbox: pool of processes to decode in; None uses the shared one.
    """
    facts = PictureFacts.empty(paths, details=bool(details), use=use)
    findings = []
    examine: Work = partial(examine_all, use=use)
    work: Work = partial(_in_sandbox, sandbox or shared_sandbox(), examine)
    for place, (seen, digest, num_bytes, whole) in enumerate(_examined(store, facts.paths, work, details)):
        facts.put(place, seen, digest, num_bytes)
        if whole is not None:
            facts.wholes[part_of(facts.paths[place])[0]] = whole
        if seen.fault:
            digests = (digest,) if digest else ()
            findings.append(Finding("error", seen.fault, seen.message, (facts.paths[place],), digests=digests))
        progress(place + 1, len(facts.paths))
    return replace(facts, findings=tuple(findings))


def require_decodable(
    store: PictureStore,
    facts: PictureFacts,
    paths: Iterable[str],
    uses: Iterable[tuple[int, int]],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """DataError when a picture cannot be decoded with one of `uses`, each a minimum (height, width).

    Only pictures whose scale differs from the one in `facts` are decoded again.
    """
    wanted = tuple(dict.fromkeys(paths))
    for use in dict.fromkeys(uses):
        again = [path for path in wanted if facts.may_differ(path, use)]
        faults = verify_pictures(store, again, progress, use=use).findings if again else ()
        if faults:
            raise DataError(f"{len(faults)} picture(s) cannot be decoded at the size that they are used in; the first "
                            f"is {faults[0].paths[0]!r}: {faults[0].message}. Leave them out")  # fmt: skip


def examine_all(pictures: Sequence[Wanted], *, use: tuple[int, int]) -> list[Examination]:
    """An examination of each picture; runs in a child process."""
    return [examine_picture(picture.data, part=picture.part, details=full, use=use) for picture, full in pictures]


def _in_sandbox(sandbox: Sandbox, work: Work, pictures: Sequence[Wanted]) -> list[Examination]:
    """Examinations of a chunk in a child. If it crashes, each picture is examined alone to find the one at fault."""
    try:
        result: list[Examination] = sandbox.run(work, pictures)
        return result
    except PictureError as error:
        if len(pictures) == 1:
            return [Examination("unreadable", str(error))]
        return [seen for picture in pictures for seen in _in_sandbox(sandbox, work, [picture])]


def _examined(store: PictureStore, paths: Sequence[str], work: Work, details: bool | Collection[str]) -> Iterator[Seen]:
    """Yield the examinations in order. The number of pending chunks is limited, to save memory."""
    num_threads = num_allowed_cpus()
    waiting: deque[Future[list[Seen]]] = deque()
    with ThreadPoolExecutor(num_threads) as pool:
        for start in range(0, len(paths), CHUNK):
            waiting.append(pool.submit(_examine_chunk, store, paths[start : start + CHUNK], work, details))
            if len(waiting) > 4 * num_threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _examine_chunk(
    store: PictureStore, paths: Sequence[str], work: Work, details: bool | Collection[str]
) -> list[Seen]:
    seen: list[Seen] = []
    waiting: list[Wanted] = []

    def finish() -> None:
        for (picture, _), examination in zip(waiting, work(waiting) if waiting else (), strict=True):
            whole = None if picture.part is None else content_digest(picture.data)
            seen.append((examination, picture.digest(), len(picture.data), whole))
        waiting.clear()

    for path in paths:
        try:
            waiting.append((store.read(path), details if isinstance(details, bool) else path in details))
        except PictureError as error:
            finish()
            seen.append((Examination("unreadable", str(error)), "", 0, None))
        if sum(len(picture.data) for picture, _ in waiting) > CHUNK_BYTES:
            finish()
    finish()
    return seen
