"""CPUs that a process may use: quotas of control groups in both versions, on trees made here."""

import os
from pathlib import Path

import pytest

from transformer import cpus
from transformer.cpus import cpu_name, cpu_quota, limit_threads, usable_cpus

V2 = "31 23 0:28 {root} {place} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "32 31 0:29 {root} {place} rw - cgroup cgroup rw,cpu,cpuacct\n"
MEMORY = "33 31 0:30 / {place} rw shared:9 - cgroup cgroup rw,memory\n"


class Tree:
    """A /proc of one process, and the groups that it is in, as files."""

    def __init__(self, folder: Path) -> None:
        self.proc, self.groups = folder / "proc", folder / "groups"
        (self.proc / "self").mkdir(parents=True)

    def mount(self, line: str, root: str = "/", place: str = "") -> None:
        with (self.proc / "self" / "mountinfo").open("a") as file:
            file.write("23 1 8:1 / / rw - ext4 /dev/sda rw\n")
            file.write(line.format(root=root, place=self.groups / place))

    def own(self, *groups: str) -> None:
        (self.proc / "self" / "cgroup").write_text("".join(f"{each}\n" for each in groups))

    def limit(self, group: str, quota: str, period: str = "100000", *, version: int = 2) -> None:
        folder = self.groups / group
        folder.mkdir(parents=True, exist_ok=True)
        if version == 2:
            (folder / "cpu.max").write_text(f"{quota} {period}\n")
        else:
            (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
            (folder / "cpu.cfs_period_us").write_text(f"{period}\n")


@pytest.fixture
def tree(tmp_path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture(autouse=True)
def sixteen_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "")


def test_the_least_quota_of_a_group_and_those_above_counts(tree) -> None:
    tree.mount(V2)
    tree.own("0::/pods/one")
    tree.limit("pods/one", "400000")
    assert cpu_quota(tree.proc) == 4
    tree.limit("pods", "150000", "50000")
    tree.limit("pods/another", "10000")
    assert cpu_quota(tree.proc) == 3
    tree.limit("pods/one", "100000")
    assert cpu_quota(tree.proc) == 1
    tree.limit("pods/one", "max")
    assert cpu_quota(tree.proc) == 3
    tree.limit("", "20000")  # what is mounted has a limit in a container
    assert cpu_quota(tree.proc) == 0.2


def test_version_1_has_the_quota_in_two_files(tree) -> None:
    tree.mount(V1)
    tree.mount(MEMORY, place="memory")
    tree.own("5:memory:/m", "4:cpu,cpuacct:/a/b", "0::/c")
    tree.limit("a/b", "-1", version=1)
    tree.limit("memory/a/b", "1000", version=1)
    tree.limit("c", "1000", version=1)
    assert cpu_quota(tree.proc) is None
    tree.limit("a", "250000", version=1)
    assert cpu_quota(tree.proc) == 2.5


@pytest.mark.parametrize("group", ["/docker/12", "/docker/12/inner"])
def test_a_container_sees_a_part_of_the_hosts_tree(tree, group) -> None:
    """Its own path is the host's, and the mounted folder is its own group."""
    tree.mount(V1, root="/docker/12")
    tree.own(f"4:cpu,cpuacct:{group}")
    tree.limit("inner", "-1", version=1)
    tree.limit("", "200000", version=1)
    tree.limit("docker/12", "100000", version=1)
    assert cpu_quota(tree.proc) == 2


def test_a_group_out_of_sight_has_the_limit_of_what_is_mounted(tree) -> None:
    tree.mount(V2, root="/elsewhere")
    tree.own("0::/other")
    tree.limit("", "300000")
    tree.limit("other", "100000")
    assert cpu_quota(tree.proc) == 3


@pytest.mark.parametrize("text", ["", "max", "many 100000", "100000 0", "0 100000"])
def test_what_is_no_quota_limits_nothing(tree, text) -> None:
    tree.mount(V2)
    tree.own("0::/")
    tree.groups.mkdir()
    (tree.groups / "cpu.max").write_text(text)
    assert cpu_quota(tree.proc) is None


@pytest.mark.parametrize("missing", ["cgroup", "mountinfo", "damaged"])
def test_a_system_without_groups_has_no_quota(tree, missing) -> None:
    tree.mount(V2)
    tree.own("0::/")
    tree.limit("", "100000")
    if missing == "damaged":
        tree.own("0:")
    else:
        (tree.proc / "self" / missing).unlink()
    assert cpu_quota(tree.proc) is None
    assert usable_cpus(tree.proc) == 16


@pytest.mark.parametrize(
    ("quota", "usable"), [("10000", 1), ("100000", 1), ("110000", 2), ("9900000", 16)]
)
def test_a_part_of_a_cpu_takes_a_thread(tree, quota, usable) -> None:
    tree.mount(V2)
    tree.own("0::/")
    tree.limit("", quota)
    assert usable_cpus(tree.proc) == usable


def test_a_system_without_affinity_has_all_its_cpus(tree, monkeypatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert usable_cpus(tree.proc) == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus(tree.proc) == 1


def test_a_quota_limits_threads_and_a_users_number_comes_first(tree, monkeypatch) -> None:
    tree.mount(V2)
    tree.own("0::/")
    tree.limit("", "max")
    limit_threads(tree.proc)
    assert os.environ["OMP_NUM_THREADS"] == ""  # torch counts by itself
    tree.limit("", "190000")
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "8")
        limit_threads(tree.proc)
        monkeypatch.delenv(name)
        assert "OMP_NUM_THREADS" not in os.environ or not os.environ["OMP_NUM_THREADS"]
    limit_threads(tree.proc)
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_the_system_tells_the_name_of_its_cpu(tmp_path, monkeypatch) -> None:
    (tmp_path / "cpuinfo").write_text("model\t: 17\nmodel name\t: A: B\n\nmodel name\t: C\n")
    assert cpu_name(tmp_path) == "A: B"
    monkeypatch.setattr(cpus.platform, "processor", lambda: "")
    monkeypatch.setattr(cpus.platform, "machine", lambda: "arm64")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert cpu_name(tmp_path) == "arm64"
    assert cpu_name(tmp_path / "missing") == "arm64"
    monkeypatch.setattr(cpus.platform, "processor", lambda: "arm")
    assert cpu_name(tmp_path) == "arm"
