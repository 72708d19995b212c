from __future__ import annotations

from penstock.v1 import execution_pb2
from penstock_worker.lines import LINE_BYTES, STDERR, STDOUT, LineBounds, LineCutter


class Log:
    def __init__(self, **bounds: int) -> None:
        self.lines: list[tuple[int, str]] = []
        self.cutter = LineCutter(self._emit, LineBounds(**bounds))
        self.state = self.cutter.begin(1)

    def _emit(self, _id: int, _time: int, stream: int, _lv: str, _lg: str, text: str) -> None:
        self.lines.append((stream, text))

    def write(self, text: str, stream: int = STDOUT) -> None:
        self.cutter.write(self.state, stream, text)

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.lines]


def test_lines_are_cut_at_line_ends_however_they_are_written() -> None:
    log = Log()

    for text in ("a", "b\nc", "\r\n", "\n", "d"):
        log.write(text)
    log.cutter.finish(log.state)

    assert log.texts == ["ab", "c", "", "d"]


def test_streams_do_not_mix_within_a_line() -> None:
    log = Log()

    log.write("out ")
    log.write("err\n", STDERR)
    log.write("put\n")

    assert log.lines == [(STDERR, "err"), (STDOUT, "out put")]


def test_long_line_is_cut() -> None:
    log = Log()

    log.write("x" * (LINE_BYTES + 1) + "\n")

    assert len(log.texts[0].encode()) == LINE_BYTES
    assert log.texts[0].endswith("…")


def test_output_without_line_ends_does_not_pile_up() -> None:
    log = Log()

    for _ in range(40):
        log.write("x" * 1000)

    assert len(log.texts) == 2
    assert sum(map(len, log.state.partial.values())) <= LINE_BYTES


def test_bounds_of_lines_and_bytes_end_the_log_with_one_note() -> None:
    by_lines, by_bytes = Log(lines=2), Log(size=10)

    for log in (by_lines, by_bytes):
        for _ in range(5):
            log.write("123456\n")

    assert by_lines.texts[:2] == ["123456", "123456"]
    assert by_lines.lines[2][0] == execution_pb2.LOG_STREAM_SYSTEM
    assert (len(by_lines.lines), len(by_bytes.lines)) == (3, 2)
