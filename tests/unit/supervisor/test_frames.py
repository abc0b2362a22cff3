"""Frames of a stream, put together from any pieces."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipvlab.supervisor.frames import LONGEST, FrameReader, frame

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=50)))


@given(FRAMES, st.integers(1, 20))
def test_frames_come_out_as_they_went_in(frames: list[tuple[int, bytes]], size: int) -> None:
    content = b"".join(frame(kind, part) for kind, part in frames)
    reader = FrameReader()
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    assert [found for piece in pieces for found in reader.feed(piece)] == frames


def test_a_frame_that_claims_to_be_longer_than_any_is_refused() -> None:
    header = frame(0, b"")[:4] + (LONGEST + 1).to_bytes(4, "big")
    with pytest.raises(ValueError, match="too long"):
        list(FrameReader().feed(header))


def test_the_form_is_that_of_dockers_multiplexed_stream() -> None:
    assert frame(2, b"abc") == b"\x02\0\0\0\0\0\0\x03abc"
