"""Data sets: files found, downloaded, checked, refused; what a set gives. All on small files made here, and offline."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import transforms
from tinygrad_edu.datasets import DatasetError, Digits, FashionMNIST, read_idx
from tinygrad_edu.datasets.download import DownloadError, download
from tinygrad_edu.datasets.resource import Resource, Source
from tinygrad_edu.datasets.vision import IdxDataset
from tinygrad_edu.utils.data import DataLoader


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


rng = np.random.default_rng(0)
IMAGES = rng.integers(0, 256, (20, 5, 4), dtype=np.uint8)
LABELS = rng.integers(0, 3, 20, dtype=np.uint8)
FILES = {"some-images": idx(IMAGES), "some-labels": idx(LABELS)}


def resource(name):
    return Resource(name, len(FILES[name]), hashlib.sha256(FILES[name]).hexdigest())


class Small(IdxDataset):
    classes = ("a", "b", "c")
    source = Source("Small", "small-set", ("http://127.0.0.1:9/",), "ask a friend")  # the port that discards
    resources = {part: (resource("some-images"), resource("some-labels")) for part in (True, False)}  # noqa: RUF012


@pytest.fixture(autouse=True)
def nothing_around(monkeypatch, tmp_path):
    """No data set of this machine is in reach."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("TINYGRAD_EDU_DATA", "KERAS_HOME", "XDG_CACHE_HOME", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


def place(folder, packed=True, files=FILES):
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / (name + ".gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)


def is_small(dataset):
    return np.array_equal(dataset.data.numpy(), IMAGES) and np.array_equal(dataset.targets.numpy(), LABELS)


# ---- IDX ----


def test_idx_round_trip():
    for shape in ((0,), (3,), (2, 0, 5), (2, 3, 4), ()):
        array = rng.integers(0, 256, shape, dtype=np.uint8)
        assert np.array_equal(read_idx(idx(array), "x"), array)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_idx_file_is_refused_or_only_its_pixels_differ(data):
    whole = FILES["some-images"]
    kind = data.draw(st.sampled_from(["cut", "extend", "flip"]))
    if kind == "cut":
        broken = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "extend":
        broken = whole + data.draw(st.binary(min_size=1, max_size=9))
    else:
        at = data.draw(st.integers(0, 15))
        broken = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    with pytest.raises(ValueError, match="x "):
        read_idx(broken, "x")


# ---- finding ----


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    "where",
    [
        "root/Small/raw",
        "root/small-set",
        "root",
        "env/Small/raw",
        "env",
        "data/Small/raw",
        "home/.keras/datasets/small-set",
        "home/.cache/tinygrad_edu/Small/raw",
    ],
)
def test_found_where_it_may_lie(where, packed, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "env"))
    place(tmp_path / where, packed)
    assert is_small(Small("root"))
    if not where.startswith("root"):
        assert is_small(Small())


def test_root_comes_before_the_environment_and_that_before_the_rest(monkeypatch, tmp_path):
    bad = {name: data[:-1] for name, data in FILES.items()}
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "env"))
    place(tmp_path / "data" / "Small", files=bad)
    place(tmp_path / "env")
    assert is_small(Small())
    place(tmp_path / "env", files=bad)
    place(tmp_path / "root")
    assert is_small(Small(tmp_path / "root"))


def test_missing_data_says_where_it_was_looked_for_and_how_to_get_it(tmp_path):
    with pytest.raises(DatasetError) as caught:
        Small(tmp_path / "root")
    for part in ("some-images", str(tmp_path / "root"), "download=True", "TINYGRAD_EDU_DATA", "ask a friend", ".keras"):
        assert part in str(caught.value)
    assert issubclass(DatasetError, RuntimeError)


# ---- damage ----


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_files_are_refused_by_name(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    place(folder)
    name = data.draw(st.sampled_from(sorted(FILES)))
    packed = data.draw(st.booleans())
    path = folder / (name + ".gz")
    whole = path.read_bytes() if packed else FILES[name]
    kind = data.draw(st.sampled_from(["cut", "extend", "flip"]))
    if kind == "cut":
        broken = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "extend":
        broken = whole + data.draw(st.binary(min_size=1, max_size=9).filter(any))
    else:  # not the header of gzip, which holds a time that may be anything
        at = data.draw(st.integers(10 if packed else 0, len(whole) - 1))
        broken = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    path.write_bytes(broken)
    with pytest.raises(DatasetError, match=name):
        Small(folder)
    assert path.read_bytes() == broken  # the user's file is the user's


def test_labels_beyond_the_classes_are_refused(tmp_path):
    class Fewer(Small):
        classes = ("a", "b")

    place(tmp_path / "root")
    with pytest.raises(DatasetError, match="labels"):
        Fewer(tmp_path / "root")


# ---- downloading ----


class Server(http.server.BaseHTTPRequestHandler):
    files: dict[str, bytes]
    ranges = True
    break_after = 0  # bytes after which the connection is cut, if any
    length = ""  # said instead of the true one

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        data = self.files.get(self.path)
        if data is None:
            self.send_error(404)
            return
        start = 0
        if self.ranges and (asked := self.headers.get("Range")):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(data):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", self.length or str(len(data) - start))
        self.end_headers()
        body = data[start:]
        self.wfile.write(body[: self.break_after] if self.break_after else body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(files, **settings):
    handler = type("Handler", (Server,), {"files": files, **settings})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", server.asked
        finally:
            server.shutdown()
            thread.join()


def packed_files():
    return {f"/{name}.gz": gzip.compress(data) for name, data in FILES.items()}


def with_mirrors(*mirrors):
    return type("Small", (Small,), {"source": Source("Small", "small-set", mirrors)})


def test_download_into_root_and_never_again(tmp_path):
    with serving(packed_files()) as (url, asked):
        kind = with_mirrors(url + "nowhere/", url)
        assert is_small(kind("root", download=True))
        count = len(asked)
        assert is_small(kind("root", download=True)) and len(asked) == count == 4
    left = sorted(p.name for p in (tmp_path / "root/Small/raw").iterdir())
    assert left == ["some-images.gz", "some-labels.gz"]


def test_a_length_that_is_no_number_does_not_matter():
    with serving(packed_files(), length="unknown") as (url, _):
        assert is_small(with_mirrors(url)("root", download=True))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with serving(packed_files()) as (url, _), pytest.raises(DatasetError, match=r"^\S*/Small/raw: Not a directory\n"):
        with_mirrors(url)(tmp_path / "file", download=True)


def test_download_goes_to_the_cache_by_default(tmp_path):
    with serving(packed_files()) as (url, _):
        with_mirrors(url)(download=True)
    assert (tmp_path / "home/.cache/tinygrad_edu/Small/raw/some-images.gz").exists()


def sha_is(data):
    def check(path):
        if path.read_bytes() != data:
            raise ValueError("wrong contents")

    return check


@pytest.mark.parametrize("ranges", [True, False])
def test_a_partial_download_is_continued(tmp_path, ranges):
    data = bytes(range(256)) * 40
    (tmp_path / "f.part").write_bytes(data[:1000])
    with serving({"/f": data}, ranges=ranges) as (url, asked):
        download([url + "f"], tmp_path / "f", sha_is(data))
    assert (tmp_path / "f").read_bytes() == data and not (tmp_path / "f.part").exists()
    assert asked == [("/f", "bytes=1000-")]


def test_a_broken_connection_is_taken_up_again(tmp_path):
    data = bytes(range(256)) * 40
    with serving({"/f": data}, break_after=4000) as (url, asked):
        download([url + "f"], tmp_path / "f", sha_is(data))
    assert [r for _, r in asked] == [None, "bytes=4000-", "bytes=8000-"]


def test_a_wrong_part_is_thrown_away_and_fetched_anew(tmp_path):
    data = bytes(range(256)) * 40
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    with serving({"/f": data}) as (url, asked):
        download([url + "f"], tmp_path / "f", sha_is(data))
    assert [r for _, r in asked] == ["bytes=1000-", None]


def test_a_whole_part_needs_no_byte_more(tmp_path):
    data = bytes(range(256))
    (tmp_path / "f.part").write_bytes(data)
    with serving({"/f": data}) as (url, _):
        download([url + "f"], tmp_path / "f", sha_is(data))
    assert (tmp_path / "f").read_bytes() == data


def test_wrong_contents_are_never_left_under_the_name(tmp_path):
    with serving({"/f": b"not it"}) as (url, asked), pytest.raises(DownloadError, match="wrong contents"):
        download([url + "f", url + "g"], tmp_path / "f", sha_is(b"it"))
    assert list(tmp_path.glob("f*")) == []
    assert [p for p, _ in asked] == ["/f", "/g"]


def test_without_a_network_the_error_says_so_and_how_else(tmp_path):
    with pytest.raises(DatasetError, match=r"could not download(.|\n)*127\.0\.0\.1:9(.|\n)*TINYGRAD_EDU_DATA"):
        Small("root", download=True)
    assert not list(Path("root").rglob("*.gz"))


# ---- what a set gives ----


def test_form_of_a_set(tmp_path):
    place(tmp_path / "root")
    dataset = Small(tmp_path / "root", train=False)
    assert dataset.data.dtype is tg.uint8 and dataset.targets.dtype is tg.int64 and len(dataset) == 20
    image, label = dataset[3]
    assert image.shape == (5, 4) and isinstance(label, int) and label == LABELS[3]
    assert np.array_equal(dataset[-1][0].numpy(), IMAGES[-1])
    with pytest.raises(IndexError, match="20"):
        dataset[20]
    assert dataset.class_to_idx == {"a": 0, "b": 1, "c": 2}
    assert repr(dataset).splitlines()[0] == "Dataset Small" and "Split: Test" in repr(dataset)
    doubled = Small(tmp_path / "root", transform=lambda x: x.float() * 2, target_transform=lambda y: -y)
    assert float(doubled[1][0][0, 0]) == 2.0 * IMAGES[1, 0, 0] and doubled[1][1] == -int(LABELS[1])


@pytest.mark.parametrize(
    "transform",
    [
        None,
        transforms.ToTensor(),
        transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.3, 0.2)]),
        transforms.Compose([transforms.ToTensor(), lambda x: x + 1]),
    ],
)
def test_a_batch_at_once_equals_samples_collated(transform, tmp_path):
    place(tmp_path / "root")
    dataset = Small(tmp_path / "root", transform=transform)
    for k, (x, y) in enumerate(DataLoader(dataset, batch_size=6)):
        single = [dataset[i] for i in range(6 * k, min(6 * k + 6, len(dataset)))]
        assert y.dtype is tg.int64 and y.tolist() == [label for _, label in single]
        stacked = np.stack([image.numpy() for image, _ in single])
        assert x.shape == stacked.shape and x.numpy().dtype == stacked.dtype
        np.testing.assert_allclose(x.numpy(), stacked, rtol=3e-7, atol=3e-7)


def test_transforms_refuse_what_they_are_not_for():
    with pytest.raises(TypeError, match="uint8"):
        transforms.ToTensor()(tg.zeros(2, 2))
    with pytest.raises(ValueError, match="std"):
        transforms.Normalize(0.5, 0.0)
    with pytest.raises(ValueError, match="2 numbers"):
        transforms.Normalize((0.5, 0.5), 1.0)(tg.zeros(3, 2, 2))
    assert repr(transforms.Compose([transforms.ToTensor()])) == "Compose(ToTensor())"


def test_digits_of_scikit_learn():
    pytest.importorskip("sklearn")
    train, test = Digits(), Digits(train=False)
    assert len(train) == 1437 and len(test) == 360 and train.data.shape == (1437, 8, 8)
    assert int(train.data.max()) == 255 and set(test.targets.tolist()) == set(range(10))


REAL = FashionMNIST.source.find(FashionMNIST.resources[True][0], None)


@pytest.mark.skipif(REAL is None, reason="Fashion-MNIST is not on this machine")
def test_fashion_mnist():
    test = FashionMNIST(REAL.parent, train=False)
    assert test.data.shape == (10000, 28, 28) and test.classes[test.targets[0].item()] == "Ankle boot"
    assert np.bincount(test.targets.numpy()).tolist() == [1000] * 10
    assert (
        round(float(test.data.float().mean()) / 255, 4) == 0.2868
    )  # the mean that everyone normalises by: 0.2860 (train)
