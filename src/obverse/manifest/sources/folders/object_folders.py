"""Layout with a folder per object: `<class>/<object>/{obverse,reverse}.jpg`, in which file names mark the view.

It is detected in two cases:

- 90 % of the folders below the classes contain the same view words, and half of the pictures have such names.
- Half of the folders contain them, and 90 % of the pictures have such names: some objects lack views.

Class folders that contain the views directly do not count, because the whole class would be one object.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from obverse.errors import DataError
from obverse.manifest.names import name_key
from obverse.manifest.sources.listing import stem_key
from obverse.manifest.sources.places import SIZE_FOLDER, STRAY_SHARE, Place

from .views import PAIRING_SHARE, Classes, Shot, Views
from .words import VIEW_WORDS

HALF = 0.5
ANY_WORD = tuple(dict.fromkeys(itertools.chain(*VIEW_WORDS)))


def object_views(places: Sequence[Place], given: Sequence[str] | None, *, is_explicit: bool) -> Views | None:
    """Views marked by the file names in the deepest folders; None if these are no view words.

    given: names of the views, or None.
    is_explicit: the user has named the layout; any number of other pictures is allowed.

    DataError when some classes contain folders of objects, and others the views themselves.
    """
    deep = [place for place in places if len(_parts(place)) > 1]
    if not is_explicit and (_are_words({p.parts[-1] for p in deep}) or _are_words({p.parts[0] for p in deep})):
        return None  # the folders themselves are the views
    stems = [set(map(stem_key, place.pictures)) for place in deep]
    sure = _names(stems, given, PAIRING_SHARE)
    names = sure or _names(stems, given, HALF)
    keys = set(map(name_key, names))
    if not keys or not (is_explicit or _named_share(deep, keys) >= (HALF if sure else PAIRING_SHARE)):
        return None
    flat = [place for place in places if len(_parts(place)) == 1]
    if not is_explicit and sum(len(p.pictures) for p in flat) > STRAY_SHARE * sum(len(p.pictures) for p in places):
        _refuse_both(deep, [p for p in flat if keys <= set(map(stem_key, p.pictures))], names)
        return None
    return _views(deep, flat, names, "as data.views says" if given is not None else "known view words")


def _are_words(folders: Collection[str]) -> bool:
    return set(map(name_key, folders)) <= set(ANY_WORD)


def _parts(place: Place) -> tuple[str, ...]:
    """Class and object of a folder, without a trailing size folder."""
    is_size = bool(place.parts) and SIZE_FOLDER.fullmatch(place.parts[-1])
    return place.parts[:-1] if is_size else place.parts


def _names(stems: Sequence[set[str]], given: Sequence[str] | None, share: float) -> tuple[str, ...]:
    """The view words that at least this fraction of the folders contain; empty when they are no pair."""
    counts = Counter(itertools.chain(*stems))
    names = tuple(given or (word for word in ANY_WORD if counts[word] >= share * len(stems)))
    keys = set(map(name_key, names))
    is_pair = len(keys) > 1 and (given is not None or any(keys >= set(words) for words in VIEW_WORDS))
    num_complete = sum(1 for in_folder in stems if keys <= in_folder)
    return names if is_pair and num_complete and num_complete >= share * len(stems) else ()


def _named_share(places: Sequence[Place], keys: set[str]) -> float:
    """Fraction of the pictures whose file name is one of `keys`."""
    num_named = sum(stem_key(path) in keys for place in places for path in place.pictures)
    return num_named / sum(len(place.pictures) for place in places)


def _refuse_both(deep: Sequence[Place], flat: Sequence[Place], names: Sequence[str]) -> None:
    """DataError when a class in `flat` contains views directly, while those in `deep` contain folders of objects."""
    if flat:
        raise DataError(f"the folder {'/'.join(deep[0].parts)} holds the views {', '.join(names)} of one object, and "
                        f"so does the class {'/'.join(flat[0].parts)}: give every object a folder, "
                        "<class>/<object>/, or a table with a column per view (or data.layout=class-folders)"
                        )  # fmt: skip


def _views(deep: Sequence[Place], flat: Sequence[Place], names: Sequence[str], why: str) -> Views:
    keys = set(map(name_key, names))
    classes: Classes = defaultdict(list)
    for place in deep:
        classes[place.split, "/".join(_parts(place)[:-1])].append(place)

    def shots(place: Place) -> Iterator[Shot]:
        return ((key, _parts(place)[-1], path) for path in place.pictures if (key := stem_key(path)) in keys)

    strays = [path for place in flat for path in place.pictures]
    strays += [path for place in deep for path in place.pictures if stem_key(path) not in keys]
    return Views(tuple(names), why, classes, shots, strays)
