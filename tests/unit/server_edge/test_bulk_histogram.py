"""A histogram of many values at once shows what the library's own shows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from penstock_server.telemetry.bulk_histogram import BulkHistogram

BOUNDS = (0.001, 0.5, 10.0, 3600.0)
# Sums of these are exact, in whatever order they are added.
VALUES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 10.0, 3600.0, 3600.5, 2.0**20])
SERIES = st.tuples(st.sampled_from("ab"), st.sampled_from("xy"))


def page_of(registry: CollectorRegistry) -> set[str]:
    """The lines of the page, without those that say when a series began."""
    lines = generate_latest(registry).decode().splitlines()
    return {line for line in lines if "_created" not in line}


@given(st.lists(st.tuples(SERIES, st.dictionaries(VALUES, st.integers(1, 5), min_size=1))))
def test_values_taken_together_show_as_if_taken_one_by_one(calls):
    bulk, single = CollectorRegistry(), CollectorRegistry()
    many = BulkHistogram("waits", "How long.", ("name", "kind"), BOUNDS)
    bulk.register(many)
    one = Histogram("waits", "How long.", ("name", "kind"), buckets=BOUNDS, registry=single)

    for labels, counts in calls:
        many.observe(labels, counts)
        for value, count in counts.items():
            for _ in range(count):
                one.labels(*labels).observe(value)

    assert page_of(bulk) == page_of(single)
