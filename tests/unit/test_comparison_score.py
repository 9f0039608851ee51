"""The comparison score: the share of strangers who come less near."""

import numpy as np
import pytest

from app.recognition.comparison_score import comparison_score


@pytest.mark.parametrize(("distance", "score"), [(0.8034, 0.999), (0.9016, 0.99), (1.2111, 0.5)])
def test_it_is_what_was_measured(distance: float, score: float) -> None:
    """docs/accuracy.md has the first two, measured on other pairs: 0.808 and 0.903."""
    assert comparison_score("dlib", distance) == pytest.approx(score, abs=1e-6)


def test_it_falls_with_the_distance_and_never_promises_more_than_was_measured() -> None:
    scores = [comparison_score("dlib", distance) for distance in np.linspace(0, 3, 301)]
    assert scores == sorted(scores, key=lambda score: -(score or 0))
    assert (scores[0], scores[-1]) == (0.999999, 0)


def test_nothing_is_said_of_a_model_that_was_not_measured() -> None:
    assert comparison_score("onnx-0123456789ab", 0.5) is None
