"""Rules about watches and log tails: no gap, no repeat, nothing invented, and to the end."""

from __future__ import annotations

from collections import defaultdict

from penstock_server.model.lifecycle import EventKind, Outcome
from robustness.facts import TOLERANCE, Facts, Findings, Violation
from robustness.history import Event, Line

Place = tuple[str, int, int]
"""Task, sequence and millisecond: names an event, also where a store that lost its latest writes
has made the same change a second time.
"""


def watches_tell_everything_once(facts: Facts) -> Findings:
    """P8: a watch tells the store's events from where it began, in order, all, once."""
    streams: dict[int, list[Event]] = defaultdict(list)
    partition_of: dict[str, int] = {}
    for event in facts.history.events:
        streams[event.partition].append(event)
        partition_of[event.task] = event.partition
    told: dict[str, dict[int, list[Event]]] = defaultdict(lambda: defaultdict(list))
    for event in facts.history.watched:
        # What the store has forgotten again lived where the other events of its task do.
        told[event.watch][partition_of.get(event.task, 0)].append(event)
    index = {p: {_place(e): n for n, e in enumerate(s)} for p, s in streams.items()}
    for watch, by_partition in told.items():
        for partition, events in by_partition.items():
            found = _compare(facts, watch, streams[partition], index.get(partition, {}), events)
            yield from found


def _place(event: Event) -> Place:
    return event.task, event.sequence, round(event.at * 1_000)


def _compare(
    facts: Facts, watch: str, stream: list[Event], index: dict[Place, int], events: list[Event]
) -> Findings:
    expected, forgotten = None, False
    for event in events:
        at = index.get(_place(event))
        if at is None or stream[at].kind != event.kind:
            forgotten = True
            if not facts.may_be_lost(event.at):
                yield Violation(rule="watch", subject=watch, text=f"told what never was: {event}")
            continue
        if expected is None:
            yield from _beginning(facts, watch, stream, at)
        elif at != expected:
            what = "repeats" if at < expected else f"leaves out {at - expected} before"
            yield Violation(rule="watch", subject=watch, text=f"{what} {event}")
        elif forgotten:
            text = f"goes on over what the store has forgotten, with {event}"
            yield Violation(rule="watch", subject=watch, text=text)
        expected = at + 1


def _beginning(facts: Facts, watch: str, stream: list[Event], at: int) -> Findings:
    opened = next((o for o in facts.history.opened if o.watch == watch and not o.reason), None)
    if opened is not None and at > 0 and stream[at - 1].at > opened.at + TOLERANCE:
        text = f"leaves out {stream[at - 1]}, which came after it had begun"
        yield Violation(rule="watch", subject=watch, text=text)


def watches_reach_the_end(facts: Facts) -> Findings:
    """A watch that is open when everything is over has told the last event."""
    last: dict[str, str] = {}
    for opened in facts.history.opened:
        last[opened.watch.partition("#")[0]] = opened.watch
    ends: dict[int, Event] = {event.partition: event for event in facts.history.events}
    told = {(event.watch, *_place(event)) for event in facts.history.watched}
    for watch in last.values():
        begun = max(o.at for o in facts.history.opened if o.watch == watch)
        for event in ends.values():
            if event.at > begun and (watch, *_place(event)) not in told:
                yield Violation(rule="watch", subject=watch, text=f"never told of {event}")


def cursors_expire_for_a_reason(facts: Facts) -> Findings:
    """A cursor is refused only if the store has forgotten what it stands behind."""
    begun = {o.watch: o.at for o in facts.history.opened if not o.reason}
    for opened in facts.history.opened:
        since = begun.get(opened.watch, 0.0)
        if opened.reason and not any(
            since <= f.ended and f.began <= opened.at for f in facts.losses
        ):
            text = f"{opened.reason} at {opened.at:.3f}"
            yield Violation(rule="cursor", subject=opened.watch, text=text)


def tails_tell_every_line_once(facts: Facts) -> Findings:
    """P8: the lines of an execution come numbered from 1, without gap or repeat."""
    tails: dict[str, list[Line]] = defaultdict(list)
    for line in facts.history.lines:
        tails[line.tail].append(line)
    for tail, lines in tails.items():
        task, last = lines[0].task, (0, 0)
        for line in lines:
            if line.end:
                continue
            same = line.execution == last[0]
            if line.number != (last[1] + 1 if same else 1) or line.execution < last[0]:
                text = f"line {line.execution}.{line.number} follows on {last[0]}.{last[1]}"
                yield facts.found("tail", task, f"{tail}: {text}")
            last = (line.execution, line.number)


def lines_are_all_kept(facts: Facts) -> Findings:
    """What a handler that succeeded has logged is there, all of it."""
    counts = {
        final.task: {line[0]: line[1] for line in final.lines}
        for final in facts.history.finals
        if final.lines
    }
    for mark in facts.history.marks:
        held = facts.executions.get((mark.task, mark.execution))
        if mark.phase != "end" or mark.task not in counts or held is None or held.ended is None:
            continue
        found = counts[mark.task].get(mark.execution, 0)
        succeeded = held.ended.outcome == Outcome.SUCCEEDED
        if succeeded and held.ended.kind == EventKind.SUCCEEDED and found != mark.lines:
            text = f"execution {mark.execution} logged {mark.lines} lines, {found} are kept"
            yield facts.found("lines", mark.task, text)
