"""Names that share a prefix: pictures of one scene or object, that a split should not part. A proposal, never applied.

`photo7_1.jpg`, `photo7_2.jpg` ... are crops of photo7; `coin0001.jpg`, `coin0002.jpg` ... are only numbered. The
difference: a prefix that says no more than the class, or that nearly all names share, is no scene.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from obverse.manifest.sample import Finding, Sample
from obverse.manifest.split.grouping import FILE_ENDING

SCENE_PATTERN = r"([^/]*[^/\d])\d+$"
"""Everything in a file's name before its last number: what `data.split.group_by.pattern` would be."""
LEAST_SHARE = 0.5
LARGEST_SHARE = 0.2
LEAST_SCENES = 4


def scene_groups(samples: Sequence[Sample]) -> Mapping[str, str]:
    """Sample id -> scene, for samples whose scene has at least two; empty when names say nothing of the kind."""
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
    """A proposal with the largest scene as its example."""
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
