"""CPUs and memory as the cgroups of a container limit them, and the defaults that follow."""

from pathlib import Path

import pytest

from app.machine import Share, read
from app.settings import budgets

CPUS = 4
V2, V1 = "0::/\n", "4:memory:/\n3:cpu,cpuacct:/\n"
NO_LIMIT_V1 = "9223372036854771712"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def written(root: Path, own: str, files: dict[str, str]) -> Share:
    """The share of a process with this /proc/self/cgroup, and these files of cgroups."""
    root.mkdir()
    (root.parent / "own").write_text(own)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return read(CPUS, root, root.parent / "own")


@pytest.mark.parametrize(("quota", "cpus"), [("50000", 0.5), ("100000", 1), ("200000", 2)])
def test_a_quota_is_obeyed(root: Path, quota: str, cpus: float) -> None:
    share = written(root, V2, {"cpu.max": f"{quota} 100000", "memory.max": "536870912"})
    assert share == Share(cpus, has_quota=True, memory=512 << 20)


def test_version_1_is_obeyed(root: Path) -> None:
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "50000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": "1073741824",
    }
    assert written(root, V1, files) == Share(0.5, has_quota=True, memory=1 << 30)


def test_its_controllers_may_be_mounted_one_by_one(root: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}
    assert written(root, V1, files) == Share(1.5, has_quota=True)


@pytest.mark.parametrize(
    ("own", "files"),
    [
        (V2, {"cpu.max": "max 100000", "memory.max": "max"}),
        (
            V1,
            {
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
                "memory/memory.limit_in_bytes": NO_LIMIT_V1,
            },
        ),
        (V2, {}),
        ("", {}),
        (V2, {"cpu.max": "", "memory.max": ""}),
        (V2, {"cpu.max": "400000 0", "memory.max": "?"}),
        (V2, {"cpu.max": "100000 ?", "memory.max": "-1"}),
        ("not what it should be\n", {}),
    ],
)
def test_without_a_limit_everything_may_be_used(
    root: Path, own: str, files: dict[str, str]
) -> None:
    assert written(root, own, files) == Share(CPUS)


def test_a_quota_above_the_cpus_that_are_there_is_none(root: Path) -> None:
    assert written(root, V2, {"cpu.max": "800000 100000"}) == Share(CPUS)


def test_the_tightest_limit_on_the_way_counts(root: Path) -> None:
    files = {
        "cpu.max": "max 100000",
        "pod/cpu.max": "100000 100000",
        "pod/app/cpu.max": "max 100000",
        "pod/app/memory.max": "2000000000",
        "pod/memory.max": "3000000000",
        "else/cpu.max": "10000 100000",
    }
    assert written(root, "0::/pod/app\n", files) == Share(1, has_quota=True, memory=2_000_000_000)


@pytest.mark.parametrize("path", ["/docker/0123abc", "/../../kubepods"])
def test_the_hosts_path_leads_nowhere_in_a_container(root: Path, path: str) -> None:
    (root.parent / "kubepods").mkdir()
    (root.parent / "kubepods/cpu.max").write_text("10000 100000")
    share = written(root, f"0::{path}\n", {"cpu.max": "200000 100000"})
    assert share == Share(2, has_quota=True)


@pytest.mark.parametrize(
    ("cpus", "slots", "threads"),
    [(0.5, 2, 16), (1, 2, 16), (2, 4, 32), (8, 16, 128), (64, 16, 128)],
)
def test_photos_and_requests_at_once_follow_the_cpus(cpus: float, slots: int, threads: int) -> None:
    share = Share(cpus)
    assert (budgets.slots(share, 1), budgets.threads(share, 1)) == (slots, threads)


def test_budgets_follow_the_memory() -> None:
    ample, little, least = (Share(2, memory=size << 20) for size in (2048, 1024, 512))
    for same in (ample, Share(2)):
        assert budgets.slots(same, 1) == 4
        assert budgets.received_mb(same, 1) == 96
        assert budgets.body_mb(same, 1) == 64
        assert budgets.megapixels(same, 1) == 51
    assert budgets.slots(least, 1) == 1
    assert budgets.megapixels(least, 1) == 12.5  # what phones take by default
    assert budgets.body_mb(least, 1) == budgets.received_mb(least, 1) == 16
    assert 12.5 < budgets.megapixels(little, 1) < 51
    assert budgets.received_mb(ample, 2) == budgets.received_mb(little, 1)
