"""One vector of a film's many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.recognition.canonical import POINTS
from app.recognition.frame_sequence import FrameSequence, ObservedFace, fused


def seen(vector: NDArray[np.float64], quality: float = 1) -> ObservedFace:
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    face = np.zeros((96, 96, 3), np.uint8)
    return ObservedFace(unit, quality, True, face[..., 1], face, np.eye(2, 3), POINTS)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_frames_of_other_people_are_ignored(seed: int, near: float) -> None:
    rng = np.random.default_rng(seed)
    probe = seen(rng.normal(size=16))
    frames = [seen(probe.vector + rng.normal(size=16) * spread) for spread in (0.01, 0.1, 1, 9)]
    vector = fused(FrameSequence(probe, [*frames, None]), near)
    same = [f for f in frames if np.linalg.norm(f.vector - probe.vector) < near]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert np.allclose(vector, fused(FrameSequence(probe, same), near))
    assert np.linalg.norm(vector - probe.vector) < near  # however many frames, and whatever quality
