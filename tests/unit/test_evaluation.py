"""What photos of known people say about α: lists, searches, rates, recommendations, charts."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from app.evaluation import charts, figures, rates
from app.evaluation.charts import Experiment
from app.evaluation.figures import Goal
from app.evaluation.identification import Comparisons, Gallery, Search
from app.evaluation.lists import ListError, Manifest, Pairs, read_folders, read_list
from app.evaluation.templates import Templates, Vector
from app.gallery.distances import identified, is_ambiguous, ranked
from app.storage import Employee
from testbed.employees import face_model

DIMENSION = 16
MODEL = face_model(dimension=DIMENSION, distance_scale=2)


def near(centres: Vector, seed: int) -> Vector:
    """Unit vectors at random near others."""
    moved = centres + np.random.default_rng(seed).normal(size=centres.shape) * 0.08
    unit: Vector = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return unit


CENTRES = near(np.random.default_rng(1).normal(size=(40, DIMENSION)), 1)
ENROLLED, PROBES = near(CENTRES[:30], 2), near(CENTRES, 3)


def gallery(strangers: bool, refused: tuple[int, ...] = ()) -> Gallery:
    """30 people enrolled, and a probe of each and of ten others. refused: probes."""
    enrol = {f"p{n}": [f"p{n}/1.jpg"] for n in range(30)}
    probes = [(f"p{n}", f"p{n}/2.jpg") for n in range(40)]
    manifest = Manifest(Path(), enrol, probes, strangers)
    reasons = {f"p{n}/2.jpg": "no_face" for n in refused}
    tried = PROBES.copy()
    tried[list(refused)] = np.nan
    return Gallery(manifest, templates(ENROLLED, 1), templates(tried, 2, reasons), MODEL)


def templates(vectors: Vector, photo: int, refused: dict[str, str] | None = None) -> Templates:
    rows = {f"p{n}/{photo}.jpg": n for n in range(len(vectors))}
    return Templates(rows, vectors, refused or {}, np.ones(len(vectors)), MODEL.distance_scale)


def searched(strangers: bool, refused: tuple[int, ...] = ()) -> tuple[Comparisons, list[Search]]:
    made = gallery(strangers, refused)
    return made.search(made.sizes(7))


def test_each_probe_is_searched_for_once_with_its_person_and_once_without() -> None:
    compared, searches = searched(strangers=False)
    assert [(s.enrolled, s.galleries) for s in searches] == [(7, 4), (10, 3), (30, 1)]
    for search in searches:
        assert len(search.mated) == search.enrolled * search.galleries
        assert len(search.non_mated) == 40
        own = search.nearest == search.non_mated_probes
        assert not own.any()
    assert len(compared.mated) == 30
    assert len(compared.non_mated) == 30 * 29 + 10 * 30


def test_strangers_of_a_manifest_are_the_only_ones() -> None:
    _, searches = searched(strangers=True)
    for search in searches:
        assert search.non_mated_probes.tolist() == [*range(30, 40)]


def test_a_search_finds_what_a_login_finds() -> None:
    _, (*_, largest) = searched(strangers=True)
    people = [Employee(n, "", "", row[None], "dlib") for n, row in enumerate(ENROLLED)]
    for probe, distance, person in zip(
        largest.non_mated_probes, largest.non_mated, largest.nearest, strict=True
    ):
        nearest = ranked(people, PROBES[probe], MODEL)
        found = identified(nearest)
        assert found is not None
        expected = np.inf if is_ambiguous(nearest) else found[1]
        assert (found[0].employee_id, pytest.approx(distance)) == (person, expected)
    together = np.minimum(largest.mated, largest.mated_wrong)
    for probe, distance in zip(largest.mated_probes, together, strict=True):
        nearest = ranked(people, PROBES[probe], MODEL)
        found = identified(nearest)
        assert found is not None
        assert (np.inf if is_ambiguous(nearest) else found[1]) == pytest.approx(distance)


def test_refused_probes_match_nobody() -> None:
    compared, (*_, largest) = searched(strangers=False, refused=(3, 35))
    assert np.isinf(compared.mated[3])
    assert np.isinf(largest.mated[3])
    assert np.isinf(largest.non_mated[[3, 35]]).all()
    assert largest.nearest[[3, 35]].tolist() == [-1, -1]
    assert len(largest.non_mated) == 40


def test_people_without_a_usable_photo_are_failures_to_enrol() -> None:
    manifest = Manifest(Path(), {"a": ["a1"], "b": ["b1"]}, [("a", "a2"), ("b", "b2")], False)
    vectors = ENROLLED[:2].copy()
    vectors[1] = np.nan
    enrolled = Templates({"a1": 0, "b1": 1}, vectors, {"b1": "no_face"}, np.ones(2), 2)
    probes = Templates({"a2": 0, "b2": 1}, PROBES[:2], {}, np.ones(2), 2)
    made = Gallery(manifest, enrolled, probes, MODEL)
    assert [person.name for person in made.people] == ["a"]
    assert made.not_enrolled == ["b"]


def test_rates_are_given_only_if_the_comparisons_support_them() -> None:
    assert rates.supported(figures.FMRS, 299) == []
    assert rates.supported(figures.FMRS, 300) == [1e-2]
    assert rates.supported(figures.FMRS, 300_000) == [1e-2, 1e-3, 1e-4, 1e-5]
    found = figures.verification(np.full(9, 0.2), np.full(299, 1.0), 0.8, pairs=True)
    assert found["at_fmr"] == []
    assert "accuracy_cross_validated" not in found  # too few for ten folds


def test_accuracy_is_measured_on_pairs_that_did_not_choose_the_threshold() -> None:
    mated, non_mated = np.random.default_rng(0).uniform(size=(2, 1_000))
    assert rates.cross_validated_accuracy(mated, non_mated + 2).value == pytest.approx(1, abs=0.01)
    assert rates.cross_validated_accuracy(mated, non_mated).value < 0.55


def test_the_most_accurate_threshold_is_the_middle_of_the_widest_of_the_best_gaps() -> None:
    mated, non_mated = np.array([0.1, 0.3, 0.9, np.inf]), np.array([0.2, 0.7, 1.0, np.inf])
    assert rates.most_accurate_threshold(mated, non_mated) == pytest.approx(0.5)


def test_the_most_accurate_threshold_may_lie_beyond_all_distances() -> None:
    mated, non_mated = np.array([0.1, 0.3]), np.array([np.inf, np.inf])
    threshold = rates.most_accurate_threshold(mated, non_mated)
    assert rates.accuracy(mated, non_mated, threshold).value == 1
    assert np.isfinite(threshold)


def test_the_recommended_alpha_keeps_the_goal() -> None:
    non_mated = np.linspace(0.5, 1.5, 1_000)
    found = figures.recommendation(non_mated, 100, None, Goal(100, 0.01))
    assert found["alpha"] == pytest.approx(0.51)
    assert (non_mated < found["alpha"]).mean() <= 0.01
    larger = figures.recommendation(non_mated, 100, None, Goal(300, 0.01))
    assert 0.5 < larger["alpha"] < found["alpha"]


def test_nothing_above_the_default_is_recommended() -> None:
    found = figures.recommendation(np.full(1_000, 1.2), 10, None, Goal(10, 0.01))
    assert found["alpha"] == 0.8


def test_nothing_is_recommended_without_enough_searches() -> None:
    found = figures.recommendation(np.full(58, 1.2), 20, None, Goal(20, 0.01))
    assert found["alpha"] is None
    assert "takes 300 pairs of different people to measure; there are 58" in found["reason"]


def test_charts_are_xml_with_alpha_in_them() -> None:
    mated, non_mated = np.linspace(0.2, 0.9, 50), np.linspace(0.7, 1.5, 500)
    refused = np.full(3, np.inf)
    each = Experiment("1:1 <&>", np.concatenate((mated, refused)), non_mated)
    for chart in (
        charts.det([each], 0.8),
        charts.histogram(each.mated, each.non_mated, {"α": 0.8, "recommended": 0.75}),
    ):
        assert "α 0.8" in "".join(ElementTree.fromstring(chart).itertext())
    assert "recommended 0.75" in chart
    assert charts.det([Experiment("none", refused, refused)], 0.8)


def write(folder: Path, text: str | bytes) -> Path:
    for photo in ("a/1.jpg", "a/2.jpg", "b/1.jpg"):
        (folder / photo).parent.mkdir(exist_ok=True)
        (folder / photo).touch()
    path = folder / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_pairs_are_read(tmp_path: Path) -> None:
    text = "\ufeffnote,img1, img2,same\nx,a/1.jpg,a/2.jpg,1\ny,a/1.jpg, b/1.jpg,False\n"
    pairs = read_list(write(tmp_path, text), None)
    expected = Pairs(tmp_path, ["a/1.jpg"] * 2, ["a/2.jpg", "b/1.jpg"], [True, False])
    assert pairs == expected
    assert read_list(write(tmp_path, text), tmp_path / ".") == expected


def test_a_manifest_is_read(tmp_path: Path) -> None:
    text = "role,person,img\nenrol,a,a/1.jpg\nenrol,b,b/1.jpg\nprobe,a,a/2.jpg\n"
    enrol, probe = {"a": ["a/1.jpg"], "b": ["b/1.jpg"]}, ("a", "a/2.jpg")
    assert read_list(write(tmp_path, text), None) == Manifest(tmp_path, enrol, [probe], False)
    stranger = read_list(write(tmp_path, text + "probe,c,a/2.jpg\n"), None)
    assert stranger == Manifest(tmp_path, enrol, [probe, ("c", "a/2.jpg")], True)


PAIR = "img1,img2,same\n"
ROLE = "role,person,img\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("a;b\n", "must be img1,img2,same (pairs) or role,person,img (a manifest)"),
        (b"\xff\xfe\x00", "is not a CSV file in UTF-8"),
        (PAIR + "a/1.jpg,a/9.jpg,1\n", "line 2: there is no photo 'a/9.jpg' in "),
        (PAIR + "a/1.jpg,a/2.jpg\n", "line 2: same must be 1 or 0, not ''"),
        (PAIR + "a/1.jpg,a/2.jpg,1,2\n", "line 2: there are more values than columns"),
        (PAIR + "a/1.jpg,a/2.jpg,maybe\n" * 5, "; and 2 more mistakes"),
        (PAIR + "a/1.jpg,a/2.jpg,1\n", "holds no pair of different people (same 0)"),
        (PAIR + "a/1.jpg,b/1.jpg,0\n", "holds no pair of the same person (same 1)"),
        (ROLE + "enroll,a,a/1.jpg\n", "line 2: role must be enrol or probe, not 'enroll'"),
        (ROLE + "enrol,,a/1.jpg\n", "line 2: person is empty"),
        (ROLE + "enrol,a,a/1.jpg\nprobe,a,a/1.jpg\n", "'a/1.jpg' is enrolled and a probe"),
        (ROLE + "enrol,a,\n", "line 2: there is no photo ''"),
        (ROLE + "enrol,a,a/1.jpg\nprobe,a,a/2.jpg\n", "at least two people must be enrolled"),
        (ROLE + "enrol,a,a/1.jpg\nenrol,b,b/1.jpg\n", "no probe shows a person who is enrolled"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(ListError) as refused:
        read_list(write(tmp_path, text), None)
    assert sentence in str(refused.value)


def test_files_and_folders_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ListError, match=r"none\.csv: No such file"):
        read_list(tmp_path / "none.csv", None)
    with pytest.raises(ListError, match="there is no folder"):
        read_list(write(tmp_path, PAIR), tmp_path / "none")
    with pytest.raises(ListError, match="none: No such file"):
        read_folders(tmp_path / "none")
    with pytest.raises(ListError, match="must hold a folder of photos for each person"):
        read_folders(tmp_path / "a")


def test_the_first_photo_in_a_folder_is_enrolled(tmp_path: Path) -> None:
    write(tmp_path, "")
    with pytest.raises(ListError, match="at least two people"):
        read_folders(tmp_path)
    for name in ("c/2.PNG", "c/1.webp", "c/Thumbs.db", "c/.hidden.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    manifest = read_folders(tmp_path)
    assert manifest.enrol == {"a": ["a/1.jpg"], "c": ["c/1.webp"]}
    assert manifest.probes == [("a", "a/2.jpg"), ("b", "b/1.jpg"), ("c", "c/2.PNG")]
    assert manifest.notes == [
        "People with only one photo are strangers and not enrolled: 1.",
        "Files whose names are not those of pictures were left out: 1.",
    ]
