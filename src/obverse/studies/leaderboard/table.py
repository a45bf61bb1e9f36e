"""The leaderboard as rows of a table and as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from obverse.metrics import LEVEL, Metric, p_value_words
from obverse.report import Block, Page, Row, Section, Table, Text

from .board import Group, Leaderboard
from .entry import Entry

HEADER: Row = (
    "run",
    "value",
    "difference from the best",
    "p",
    "model",
    "parameters",
    "minutes",
    "size",
    "when",
    "note",
)
OTHERS: Row = ("run", "state", "reason", "data", "when")


def leaderboard_page(board: Leaderboard) -> Page:
    """The leaderboard as a page."""
    sections = [
        Section(group_title(group), (*map(Text, group_sentences(group)), _group_table(group))) for group in board.groups
    ]
    if board.others:
        sections.append(Section("Without a measurement", (_others_table(board),)))
    lead = (Text(summary(board)), *(Text(note, is_quiet=True) for note in board.notes))
    return Page(f"Runs in {board.folder.resolve().name}", tuple(sections), lead, "obverse runs", is_wide=True)


def leaderboard_blocks(board: Leaderboard) -> list[Block]:
    """The leaderboard as blocks for a notebook."""
    blocks: list[Block] = [Text(summary(board))]
    for group in board.groups:
        blocks += [Text(group_title(group)), *map(Text, group_sentences(group)), _group_table(group)]
    blocks += [_others_table(board)] if board.others else []
    return blocks + [Text(note, is_quiet=True) for note in board.notes]


def summary(board: Leaderboard) -> str:
    """How many runs there are, and in which state."""
    runs = [entry for entry in board.entries if entry.kind not in ("strange", "condition")]
    states = Counter(entry.state for entry in runs)
    counts = ", ".join(f"{num} {state}" for state, num in sorted(states.items()))
    strange = sum(entry.kind == "strange" for entry in board.entries)
    others = f"; {strange} other {'folder holds' if strange == 1 else 'folders hold'} no run" if strange else ""
    if not runs:
        return f"No runs{others}"
    names = len({group.data_digest or group.data for group in board.groups})
    what = f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} ({counts})"
    return f"{what}, measured on {names} {'data set' if names == 1 else 'data sets'}{others}"


def group_title(group: Group) -> str:
    """The data, the metric and the split of a group."""
    first = group.entries[0]
    num = "" if first.num_samples is None else f", {first.num_samples:,} samples"
    digest = f", data {group.data_digest[:8]}" if group.data_digest else ""
    return f"{group.data or 'data not known'}{num}{digest}: {group.metric.title} on {group.split}"


def group_sentences(group: Group) -> list[str]:
    """What the ranking shows, and what it does not."""
    others = group.ranked[1:]
    lines = [_best_sentence(group)]
    if others:
        worse = [e.name for e in others if e.p_adjusted is not None and e.p_adjusted < LEVEL]
        tested = sum(entry.difference is not None for entry in others)
        tests = sorted({entry.difference.test for entry in others if entry.difference})
        which = f"{len(worse)} of {tested} others {'is' if len(worse) == 1 else 'are'} worse beyond chance"
        how = f" ({', '.join(tests)}; 5 %, Holm)" if tests else ""
        lines.append(f"{which}{how}." if tested else "No difference from the best is tested; its column says why.")
        if others[-1].rank != 1:
            lines.append(f"The best of {len(others) + 1} looks a little better than it is; choose by val, report test.")
    if group.split != "test":
        lines.append(_kind_sentence(group))
    return lines


def _best_sentence(group: Group) -> str:
    """Which run is first, or which ones are equal there."""
    first = [entry for entry in group.ranked if entry.rank == 1]
    value = f"{group.metric.title} {value_words(first[0])}, on {first[0].num_measured or '?'} samples"
    if len(first) == 1:
        return f"Best: {first[0].name}, {value}."
    names = ", ".join(entry.name for entry in first[:3]) + (f" and {len(first) - 3} more" if len(first) > 3 else "")
    return f"{len(first)} runs are equal, and none is better: {names}; {value}."


def _kind_sentence(group: Group) -> str:
    """Why a measurement on another split than test is a little too good."""
    lacking = [entry for entry in group.ranked if entry.has_test]
    kind = "so these figures are a little kind"
    if group.split == "out-of-fold":
        return f"Measured on the fold left out of each training; these folds also chose the epochs, {kind}."
    if not lacking and not all(entry.data_digest for entry in group.ranked):
        return f"Measured on {group.split}, which also chose the epoch, {kind}."
    if not lacking:
        return f"There is no test split: {group.split} also chose the epoch, {kind}."
    whose = "these runs" if len(lacking) == len(group.ranked) else ", ".join(entry.name for entry in lacking[:3])
    return (
        f"The measurement of {whose} on test is missing; evaluate again to make it. "
        f"{group.split.capitalize()} also chose the epoch, {kind}."
    )


def _group_table(group: Group) -> Table:
    return _without_empty_columns(HEADER, [entry_row(entry) for entry in group.entries])


def _others_table(board: Leaderboard) -> Table:
    return _without_empty_columns(OTHERS, [other_row(entry) for entry in board.others])


def _without_empty_columns(header: Row, rows: list[Row]) -> Table:
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    return Table(tuple(header[c] for c in kept), tuple(tuple(row[c] for c in kept) for row in rows))


def entry_row(entry: Entry) -> Row:
    """The cells of an entry that has a measurement."""
    no_interval = f"no interval: {entry.no_interval}" if entry.no_interval else ""
    notes = [entry.note, no_interval, "" if entry.state == "finished" else f"{entry.state}: {entry.reason}"]
    name = (
        f"{entry.rank}. {entry.name}" if entry.rank is not None else f"– {entry.name.removeprefix(entry.within + '/')}"
    )
    return (
        name,
        value_words(entry, with_reason=False),
        difference_words(entry),
        "" if entry.p_adjusted is None else p_value_words(entry.p_adjusted),
        entry.model,
        "" if entry.num_parameters is None else f"{entry.num_parameters:,}",
        "" if entry.minutes is None else f"{entry.minutes:.1f}",
        size_words(entry.bundle_bytes),
        entry.day,
        "; ".join(filter(None, notes)),
    )


def other_row(entry: Entry) -> Row:
    """The cells of an entry without a measurement."""
    return entry.name, entry.state, entry.reason or entry.note, entry.data, entry.day


def value_words(entry: Entry, *, with_reason: bool = True) -> str:
    """The value with its interval, or, `with_reason`, why there is none."""
    metric = entry.known_metric
    if metric is None or entry.value is None:
        return ""
    value = amount(entry.value, metric)
    if entry.low is None or entry.high is None:
        reason = f": {entry.no_interval}" if with_reason and entry.no_interval else ""
        return f"{value} (no interval{reason})"
    low, high = (amount(end, metric).removesuffix(" %") for end in (entry.low, entry.high))
    return f"{value} ({low} to {high})"


def difference_words(entry: Entry) -> str:
    """The difference from the best with its interval, in points of per cent for shares, or why there is none."""
    if entry.difference is None:
        return entry.no_difference
    metric, difference = entry.known_metric, entry.difference
    assert metric is not None
    scale, digits = (100, 1) if metric.unit == "share" else (1, 3)
    low, value, high = (f"{scale * part:+.{digits}f}" for part in (difference.low, difference.value, difference.high))
    return f"{value} ({low} to {high})"


def amount(value: float, metric: Metric) -> str:
    """A value as text: shares in per cent."""
    return f"{100 * value:.1f} %" if metric.unit == "share" else f"{value:.3f}"


def size_words(num_bytes: int | None) -> str:
    """A size in MB."""
    return (
        "" if num_bytes is None else f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 50_000 else f"{num_bytes / 1e3:.1f} kB"
    )


def printed_tables(board: Leaderboard) -> Iterator[tuple[str, Table, list[str]]]:
    """Each table of the leaderboard: title, table and sentences."""
    for group in board.groups:
        yield group_title(group), _group_table(group), group_sentences(group)
    if board.others:
        yield "Without a measurement", _others_table(board), []
