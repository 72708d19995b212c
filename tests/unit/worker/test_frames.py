from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_worker.frames import MAX_FRAME_BYTES, FrameError, FrameReader, pack

records = st.lists(
    st.tuples(st.integers(0, 255), st.integers(0, 2**60), st.binary(max_size=50), st.text()),
    min_size=1,
    max_size=5,
)


@given(st.lists(records, max_size=5), st.integers(1, 20))
def test_records_arrive_whole_however_the_bytes_are_cut(
    batches: list[list[tuple[object, ...]]], step: int
) -> None:
    data = b"".join(pack(batch) for batch in batches)
    reader = FrameReader()

    arrived = [r for i in range(0, len(data), step) for r in reader.feed(data[i : i + step])]

    expected = [record for batch in batches for record in batch]
    assert arrived == [(a, b, c, _sendable(d)) for a, b, c, d in expected]


def _sendable(text: object) -> str:
    return str(text).encode(errors="replace").decode()


def test_frame_of_absurd_length_is_refused_before_it_is_kept() -> None:
    with pytest.raises(FrameError):
        FrameReader().feed((MAX_FRAME_BYTES + 1).to_bytes(4, "big"))


def test_garbage_in_a_frame_is_refused() -> None:
    with pytest.raises(FrameError):
        FrameReader().feed(b"\x00\x00\x00\x02\xc1\xc1")


@pytest.mark.parametrize("body", [7, [7], ["x"], [[]], [["x"]], {"a": 1}, None])
def test_frame_that_holds_no_records_is_refused(body: object) -> None:
    packed = msgpack.packb(body)

    with pytest.raises(FrameError):
        FrameReader().feed(len(packed).to_bytes(4, "big") + packed)
