"""CIFAR-10 on an archive made here: found, unpacked, refused when damaged; and what a pickle or a tar could do."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import pickle
import tarfile

import numpy as np
import pytest

from tinygrad_edu.datasets import CIFAR10, DatasetError
from tinygrad_edu.datasets.cifar10 import FOLDER, read_batch
from tinygrad_edu.datasets.resource import Resource

rng = np.random.default_rng(0)
PIXELS = rng.integers(0, 256, (3, 4, 3072), dtype=np.uint8)
LABELS = rng.integers(0, 10, (3, 4)).tolist()
NAMES = ("data_batch_1", "data_batch_2", "test_batch")
FILES = {
    name: pickle.dumps({b"data": PIXELS[k], b"labels": LABELS[k], b"filenames": [b"x.png"] * 4}, protocol=3)
    for k, name in enumerate(NAMES)
}


def resource(name, data):
    return Resource(name, len(data), hashlib.sha256(data).hexdigest())


def tar_of(files, extra=()):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in extra:
            tar.addfile(member, io.BytesIO(b"evil"))
    return made.getvalue()


def set_of(archive):
    """The class with this archive, and the batches of FILES, as what is expected."""
    batches = {
        True: tuple(resource(n, FILES[n]) for n in NAMES[:2]),
        False: (resource("test_batch", FILES["test_batch"]),),
    }
    packed = dataclasses.replace(resource("cifar-10-python.tar.gz", archive), packed=False)
    source = dataclasses.replace(CIFAR10.source, mirrors=("http://127.0.0.1:9/",))  # the port that discards
    return type("Small", (CIFAR10,), {"archive": packed, "batches": batches, "source": source})


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch, tmp_path):
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("TINYGRAD_EDU_DATA", "KERAS_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_unpacked_where_the_archive_lies(tmp_path):
    archive = tar_of(FILES)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cifar-10-python.tar.gz").write_bytes(archive)
    small = set_of(archive)
    for train, part in ((True, slice(0, 2)), (False, slice(2, 3))):
        found = small(tmp_path / "data", train=train)
        assert np.array_equal(found.data.numpy(), PIXELS[part].reshape(-1, 3, 32, 32))
        assert found.targets.tolist() == np.concatenate(LABELS[part]).tolist()
    assert sorted(p.name for p in (tmp_path / "data" / FOLDER).iterdir()) == sorted(NAMES)
    assert found[1][0].shape == (3, 32, 32)


def test_found_unpacked(tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere" / FOLDER
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "elsewhere"))
    assert len(set_of(b"")()) == 8


def test_missing(tmp_path):
    with pytest.raises(DatasetError, match=r"cifar-10-python\.tar\.gz was not found in"):
        set_of(b"")(tmp_path)
    with pytest.raises(DatasetError, match="could not download"):
        set_of(b"")(tmp_path, download=True)


@pytest.mark.parametrize("cut", [0, 20, 500, 20000])
def test_a_damaged_archive_leaves_nothing_wrong(cut, tmp_path):
    archive = tar_of(FILES)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(archive[:cut])
    with pytest.raises(DatasetError, match=r"can't be unpacked|has no"):
        set_of(archive)(tmp_path)
    for path in (tmp_path / FOLDER).glob("*batch*[!t]"):
        assert path.suffix == ".part" or path.read_bytes() == FILES[path.name]


def test_a_batch_of_other_contents_is_refused(tmp_path):
    other = {**FILES, "data_batch_2": FILES["data_batch_2"][:-1] + b"!"}
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(tar_of(other))
    with pytest.raises(DatasetError, match=r"data_batch_2.*damaged"):
        set_of(b"")(tmp_path)
    assert not (tmp_path / FOLDER / "data_batch_2").exists()


def test_unpacking_writes_known_names_only(tmp_path):
    outside, link, device = (tarfile.TarInfo(n) for n in ("../../evil", f"{FOLDER}/../evil", f"{FOLDER}/test_batch"))
    absolute = tarfile.TarInfo(str(tmp_path / "evil"))
    for member in (outside, link, absolute):
        member.size = 4
    device.type, device.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive = tar_of({n: FILES[n] for n in NAMES[:2]}, (outside, link, absolute, device))
    folder = tmp_path / "in" / "side"
    folder.mkdir(parents=True)
    (folder / "cifar-10-python.tar.gz").write_bytes(archive)
    with pytest.raises(DatasetError, match=f"has no {FOLDER}/test_batch"):
        set_of(archive)(folder, train=False)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["cifar-10-python.tar.gz", *NAMES[:2]]


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


@pytest.mark.parametrize(
    "contents",
    [
        Evil(),
        {b"data": Evil(), b"labels": [1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [10]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]},
        {b"data": np.zeros((1, 3072)), b"labels": [1]},
        [1, 2],
    ],
)
def test_a_pickle_of_anything_else_is_refused(contents, tmp_path):
    with pytest.raises(DatasetError, match="x is no batch of CIFAR-10"):
        read_batch(pickle.dumps(contents, protocol=3), "x")
    assert not (tmp_path / "evil").exists()
