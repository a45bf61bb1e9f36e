"""Detection of scenes: samples whose names share a prefix, which a split should keep together. Proposed, never applied.

`photo7_1.jpg` and `photo7_2.jpg` are crops of photo7, but `coin0001.jpg` and `coin0002.jpg` are only numbered.
Therefore a prefix that is the same for a whole class, or for a large share of all names, is no scene.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from obverse.manifest.sample import Finding, Sample
from obverse.manifest.split.grouping import FILE_ENDING

SCENE_PATTERN = r"([^/]*[^/\d])\d+$"
"""Pattern of everything in a file's name before its last number, proposed as `data.split.group_by.pattern`."""
# Least share of the samples in scenes, and largest share of the classes that have a single prefix.
LEAST_SHARE = 0.5
# Largest share of the samples that one prefix may have.
LARGEST_SHARE = 0.2
# Least number of scenes.
LEAST_SCENES = 4


def scene_groups(samples: Sequence[Sample]) -> Mapping[str, str]:
    """Sample id -> scene, for scenes of at least two samples; empty if the names do not look like scenes."""
    scenes = {sample.id: _scene(sample) for sample in samples}
    counts = Counter(scene for scene in scenes.values() if scene)
    shared = {scene for scene, count in counts.items() if count > 1}
    num_shared = sum(counts[scene] for scene in shared)
    per_class: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        per_class[sample.label].add(scenes[sample.id])
    one_each = sum(1 for names in per_class.values() if len(names) == 1)
    if (
        len(shared) < LEAST_SCENES
        or num_shared < LEAST_SHARE * len(samples)
        or max(counts.values()) > LARGEST_SHARE * len(samples)
        or one_each > LEAST_SHARE * len(per_class)
    ):
        return {}
    return {name: scene for name, scene in scenes.items() if scene in shared}


def scene_findings(samples: Sequence[Sample]) -> list[Finding]:
    """A warning that proposes to group by scene, with the largest scene as example; none without scenes."""
    groups = scene_groups(samples)
    if not groups:
        return []
    counts = Counter(groups.values())
    scene, count = counts.most_common(1)[0]
    paths = tuple(path for s in samples if groups.get(s.id) == scene for path in s.views.values())
    message = (
        f"{len(groups)} of {len(samples)} names share a prefix with others, in {len(counts)} groups, such as {scene!r} "
        f"with {count}; if each is one scene or object, keep it in one split: "
        f"data.split.group_by={{pattern: '{SCENE_PATTERN}'}}"
    )
    return [Finding("warning", "scene-prefix", message, paths)]


def _scene(sample: Sample) -> str:
    match = re.search(SCENE_PATTERN, FILE_ENDING.sub("", sample.id))
    return match[1] if match else ""
