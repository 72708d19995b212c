"""A histogram that takes many equal values at once, which the library's own takes one by one."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class BulkHistogram(Collector):
    """Counts values by bucket and by labels. Written to by one thread, read by any."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], buckets: Sequence[float]
    ) -> None:
        """`buckets` are upper bounds, which rise and are included; above the last is one more."""
        self._name, self._text, self.labels = name, text, tuple(labels)
        self._bounds = tuple(buckets)
        self._series: dict[tuple[str, ...], _Series] = {}

    def observe(self, labels: tuple[str, ...], counts: Mapping[float, int]) -> None:
        """Takes values, none below 0, each as often as its count says."""
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = _Series(len(self._bounds) + 1)
        for value, count in counts.items():
            series.counts[bisect_left(self._bounds, value)] += count
            series.total += value * count

    def describe(self) -> list[HistogramMetricFamily]:
        """What it is, without values."""
        return [HistogramMetricFamily(self._name, self._text, labels=self.labels)]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """What the page shows."""
        (family,) = self.describe()
        names = [*map(str, self._bounds), "+Inf"]
        for labels, series in list(self._series.items()):
            family.add_metric(labels, list(zip(names, series.sums(), strict=True)), series.total)
        yield family


class _Series:
    """The values with the same labels."""

    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0

    def sums(self) -> Iterable[float]:
        """How many values there are up to the bound of each bucket."""
        return accumulate(map(float, self.counts))
