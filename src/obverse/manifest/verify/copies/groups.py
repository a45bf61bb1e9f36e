"""Detection of augmented copies by their file names: `vertical_flip_X`, `X_aug3`, `rotated_by_45_X`.

A name is that of a copy if two conditions hold:

- The added words contain a word of augmentation, and only words and numbers that cannot be a name.
- The rest is the name of another picture of the class. If the original is missing, several copies must share the rest.

Roboflow writes `X_jpg.rf.<hash>`, with one hash for each copy.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from obverse.manifest.sample import Finding
from obverse.manifest.samples import Samples
from obverse.manifest.split.grouping import FILE_ENDING

WORDS = (
    "augmentation|augmented|augment|aug|flipped|flipping|flip|mirrored|mirror|rotated|rotation|rotate|rot|shifted|shift"
    "|translated|translation|translate|cropped|crop|zoomed|zoom|noised|noise|noisy|gaussian|saltandpepper|salt|pepper"
    "|speckle|blurred|blurry|blur|sharpened|sharpen|brightness|brightened|brighter|bright|darkened|darken|darker|dark"
    "|contrast|saturation|hue|jittered|jitter|gamma|sheared|shear|warped|warp|distorted|distortion|distort|affine"
    "|elastic|cutout|clahe|equalized|equalised|equalize|grayscale|greyscale|transformed"
)
# Words that may accompany a word of augmentation, and are no evidence by themselves.
BESIDE = (
    "horizontally|vertically|horizontal|vertical|hor|ver|left|right|up|down|random|counterclockwise|anticlockwise"
    "|clockwise|ccw|cw|degrees|degree|deg|angle|by|to|of|and|with|lr|ud|h|v|x|y|image|img|color|colour"
)
_WORD = re.compile(WORDS, re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_ADDED = re.compile(rf"(?:{WORDS}|{BESIDE})+|\d+", re.IGNORECASE)
_ROBOFLOW = re.compile(r"(.+)[._](?:jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9a-f]{16,}", re.IGNORECASE)
# Largest number of words that are removed at either end of a name.
MOST_TOKENS = 12
# A number after the last word counts the copies (X_aug3) if it has at most this many digits.
COUNT_DIGITS = 3
# Without originals: least number of groups in a class, and largest share of the class in one group. Otherwise the names
# are merely numbered.
LEAST_GROUPS = 4
LARGEST_SHARE = 0.2


def copy_groups(samples: Samples) -> dict[int, int]:
    """Index of a sample -> least index in its group of copies, for samples that are copies or have some."""
    stems = [FILE_ENDING.sub("", name) for name in samples.ids]
    root_of: dict[int, int] = {}

    def root(place: int) -> int:
        while (above := root_of.setdefault(place, place)) != place:
            place = above
        return place

    for copy, other in (*_of_originals(samples, stems).items(), *_without_original(samples, stems).items()):
        low, high = sorted((root(copy), root(other)))
        root_of[high] = low
    return {place: root(place) for place in list(root_of)}


def copy_findings(samples: Samples, groups: Mapping[int, int], *, grouped: bool) -> list[Finding]:
    """One finding about all augmented copies, with an example.

    groups: result of `copy_groups`. grouped: whether the split keeps copies together.
    """
    if not groups:
        return []
    sizes = Counter(groups.values())
    root = sizes.most_common(1)[0][0]
    places = [place for place, of in groups.items() if of == root]
    names = sorted((samples.ids[place].rpartition("/")[2] for place in places), key=lambda name: (len(name), name))
    message = (
        f"{len(groups)} names say augmented copies, of {len(sizes)} pictures, such as {names[-1]!r} beside {names[0]!r}"
    )
    splits = defaultdict(set)
    for place, of in groups.items():
        splits[of].add(samples.splits[place])
    num_parted = sum(1 for parts in splits.values() if len(parts - {None}) > 1)
    severity, end = ("note", "; they stay together in a split" if grouped else "")
    if num_parted:
        severity = "warning"
        end = f"; {num_parted} of these are in several given splits: the figures will look too good"
    paths = tuple(path for place in places for path in samples[place].views.values())
    return [Finding(severity, "augmented-copies", message + end, paths)]


def _of_originals(samples: Samples, stems: Sequence[str]) -> dict[int, int]:
    """Copy -> original, as indices: the original is in the same folder, or is the only one of its name in the class."""
    wanted = [place for place, stem in enumerate(stems) if _WORD.search(_last(stem))]
    if not wanted:
        return {}
    here: dict[tuple[str, str], int] = {}
    anywhere: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, (stem, label) in enumerate(zip(stems, samples.labels, strict=True)):
        here[label, stem] = place
        anywhere[label, _last(stem)].append(place)
    original_of = {}
    for place in wanted:
        folder, slash, name = stems[place].rpartition("/")
        label = samples.labels[place]
        for left in _left_over(name):
            others = anywhere.get((label, left), [])
            original = here.get((label, folder + slash + left), others[0] if len(others) == 1 else None)
            if original is not None and original != place:
                original_of[place] = original
                break
    return original_of


def _left_over(name: str) -> Iterator[str]:
    """Yield candidates for the original's name, longest first: the name without added words and numbers at its ends."""
    tokens = list(_TOKEN.finditer(name))
    is_added = [bool(_ADDED.fullmatch(token[0])) for token in tokens]
    head = _length_of_run(is_added[:MOST_TOKENS])
    tail = _length_of_run(is_added[::-1][:MOST_TOKENS])
    cuts = [(i, j) for i in range(head + 1) for j in range(tail + 1) if 0 < i + j < len(tokens)]
    for i, j in sorted(cuts, key=lambda cut: (tokens[cut[0]].start() - tokens[-1 - cut[1]].end(), cut)):
        start, end = tokens[i].start(), tokens[-1 - j].end()
        if _WORD.search(name[:start]) or _WORD.search(name[end:]):
            yield name[start:end]


def _length_of_run(flags: Sequence[bool]) -> int:
    return flags.index(False) if False in flags else len(flags)


def _without_original(samples: Samples, stems: Sequence[str]) -> dict[int, int]:
    """Copy -> first copy of the same original, as indices, for originals that are not in the data.

    Classes with few groups, or with large ones, are left out, because their names are merely numbered.
    """
    named: dict[tuple[str, str], list[int]] = defaultdict(list)
    sure: set[tuple[str, str]] = set()
    for place, stem in enumerate(stems):
        folder, slash, name = stem.rpartition("/")
        roboflow = _ROBOFLOW.fullmatch(name)
        match = roboflow[1] if roboflow else _before_words(name)
        if match:
            key = (samples.labels[place], folder + slash + match)
            named[key].append(place)
            if roboflow:
                sure.add(key)
    groups = {key: places for key, places in named.items() if len(places) > 1}
    per_class = Counter(label for label, _ in groups)
    counts = Counter(samples.labels)
    return {
        place: places[0]
        for (label, name), places in groups.items()
        if (label, name) in sure or (per_class[label] >= LEAST_GROUPS and len(places) <= LARGEST_SHARE * counts[label])
        for place in places[1:]
    }


def _before_words(name: str) -> str | None:
    """The X of a name like `X_aug3` or `X_flip_left`, if X contains a number; None for any other name."""
    if not _WORD.search(name):
        return None
    tokens = list(_TOKEN.finditer(name))
    is_counted = len(tokens) > 1 and tokens[-1][0].isdecimal() and len(tokens[-1][0]) <= COUNT_DIGITS
    place = len(tokens) - is_counted
    while place > 0 and not tokens[place - 1][0].isdecimal() and _ADDED.fullmatch(tokens[place - 1][0]):
        place -= 1
    left = name[: tokens[place - 1].end()] if place else ""
    return left if _WORD.search(name[len(left) :]) and any(map(str.isdecimal, left)) else None


def _last(stem: str) -> str:
    return stem.rpartition("/")[2]
