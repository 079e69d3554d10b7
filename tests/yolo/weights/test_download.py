"""Downloads from a server of our own: whole, broken off, tampered with, resumed, refused."""

import hashlib
import http.server
import logging
import re
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from yolo.errors import WeightsError
from yolo.weights import catalog
from yolo.weights.download import download

DATA = np.random.default_rng(0).integers(0, 256, 700_000, np.uint8).tobytes()
SHA = hashlib.sha256(DATA).hexdigest()
SIZE = len(DATA)


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content`; the class's settings say how well it does so."""

    content, ranges, cut, shift, broken = DATA, True, None, 0, 0
    path_served = "/weights/file.bin"
    asked = ()

    def do_GET(self):
        """Answer with the file, the range asked for, or what the settings make of it."""
        type(self).asked += (self.headers.get("Range"),)
        if self.path != self.path_served:
            self.send_error(404)
            return
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and self.ranges:
            start = int(asked[1])
            if start >= len(self.content):
                self.send_error(416)
                return
            self.send_response(206)
            last = len(self.content) - 1
            self.send_header("Content-Range", f"bytes {start + self.shift}-{last}/{SIZE}")
        else:
            self.send_response(200)
        body = self.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.cut is not None and self.broken:
            type(self).broken -= 1
            body = body[: self.cut]
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def serving(**settings):
    kind = type("Kind", (Server,), {**settings, "asked": ()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/weights/file.bin", kind
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refused(url, path, **known):
    """Download what must be refused in one sentence that gives the address."""
    with pytest.raises(WeightsError) as caught:
        download(url, path, **known)
    message = str(caught.value)
    assert message.startswith("file.bin: ") and url in message and "\n" not in message
    assert "--weights" in message and not path.exists()
    return message


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache" / "权重" / "file.bin"


@pytest.mark.parametrize("known", [{"size": SIZE, "sha256": SHA}, {"sha256": SHA[:8]}, {}])
def test_a_good_file(path, known, caplog):
    caplog.set_level(logging.INFO, "yolo")
    with serving() as (url, kind):
        download(url, path, **known)
    assert path.read_bytes() == DATA and kind.asked == (None,)
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]
    assert (
        "downloading file.bin, 0.7 MB" in caplog.text and "] 0.7/0.7 MB of file.bin" in caplog.text
    )
    assert ("no checksum of this file is known" in caplog.text) == (not known)


def test_a_broken_connection_is_taken_up_again_at_once(path):
    with serving(cut=300_000, broken=1) as (url, kind):
        download(url, path, size=SIZE, sha256=SHA)
    assert path.read_bytes() == DATA and kind.asked == (None, "bytes=300000-")


def test_what_arrived_before_a_break_is_kept_for_the_next_time(path):
    with serving(cut=100_000, broken=9) as (url, kind):
        message = refused(url, path, size=SIZE, sha256=SHA)
        assert "0.3 MB are kept and resumed" in message and len(kind.asked) == 3
    with serving() as (url, kind):
        download(url, path, size=SIZE, sha256=SHA)
    assert path.read_bytes() == DATA and kind.asked == ("bytes=300000-",)


def test_a_part_that_is_complete_already_is_only_checked(path):
    path.parent.mkdir(parents=True)
    path.with_name("file.bin.part").write_bytes(DATA)
    with serving() as (url, kind):
        download(url, path, size=SIZE, sha256=SHA)
        assert kind.asked == () and path.read_bytes() == DATA
        path.rename(path.with_name("file.bin.part"))
        download(url, path, sha256=SHA)  # without its size the server must say so: 416
    assert kind.asked == (f"bytes={SIZE}-",) and path.read_bytes() == DATA


@pytest.mark.parametrize(
    "settings, asked",
    [({"ranges": False}, ("bytes=1000-",)), ({"shift": 7}, ("bytes=1000-", None))],
    ids=["sends all of it", "sends another place"],
)
def test_a_server_that_cannot_resume(path, settings, asked):
    path.parent.mkdir(parents=True)
    path.with_name("file.bin.part").write_bytes(DATA[:1000])
    with serving(**settings) as (url, kind):
        download(url, path, size=SIZE, sha256=SHA)
    assert path.read_bytes() == DATA and kind.asked == asked


def test_a_tampered_file_is_thrown_away(path):
    wrong = DATA[:-1] + bytes([DATA[-1] ^ 1])
    with serving(content=wrong) as (url, _):
        message = refused(url, path, size=SIZE, sha256=SHA)
    assert "not the published file (SHA-256 " in message and SHA in message
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("content", [DATA[:-5], DATA + b"more", b"<html>Not found</html>"])
def test_a_file_of_another_size_is_thrown_away(path, content):
    with serving(content=content) as (url, _):
        message = refused(url, path, size=SIZE, sha256=SHA)
    assert f"{len(content)} bytes arrived, the published file has {SIZE}" in message
    assert not list(path.parent.iterdir())


def test_a_part_of_another_file_is_replaced(path):
    path.parent.mkdir(parents=True)
    path.with_name("file.bin.part").write_bytes(b"x" * 5000)
    with serving() as (url, kind):
        download(url, path, size=SIZE, sha256=SHA)
    assert path.read_bytes() == DATA and kind.asked == ("bytes=5000-", None)


def test_an_address_that_is_gone(path):
    with serving() as (url, _):
        with pytest.raises(WeightsError, match="the server says 404 Not Found"):
            download(f"{url}.gone", path)


def test_no_network_is_one_sentence(path):
    with serving() as (url, _):
        pass  # nobody listens there any more
    message = refused(url, path)
    assert "cannot be downloaded" in message and "refused" in message


# ------------------------------------------------------------------------------ catalogue


def test_a_name_is_downloaded_once(cache, offered):
    with serving() as (url, kind):
        offered(url, size=SIZE, sha256=SHA)
        found = [catalog.locate("yolov4-tiny-coco") for _ in range(2)]
        assert found == [cache / "file.bin"] * 2 and len(kind.asked) == 1
        found[0].write_bytes(DATA[:9])
        assert catalog.locate("yolov4-tiny-coco").read_bytes() == DATA


def test_a_name_opens_a_detector_wherever_weights_are_named(cache, tmp_path, offered):
    import yolo
    from yolo.classes import COCO_CLASSES
    from yolo.weights import darknet, loading

    model = yolo.build("yolov4-tiny", classes=COCO_CLASSES, image_size=(64, 64), masks="coco")
    darknet.save(model, tmp_path / "own.weights")
    data = (tmp_path / "own.weights").read_bytes()
    with serving(content=data, path_served="/weights/own.weights") as (url, kind):
        offered(url.replace("file.bin", "own.weights"), size=len(data))
        found = yolo.load("yolov4-tiny-coco")
        loading.start_from(model, "yolov4-tiny-coco")
    assert found.classes == COCO_CLASSES and len(kind.asked) == 1
    for a, b in zip(found.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_wins_over_a_name_and_other_paths_pass(cache, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yolov4-coco").write_bytes(b"mine")
    assert str(catalog.locate("yolov4-coco")) == "yolov4-coco"
    assert str(catalog.locate("logs/run/best.keras")) == "logs/run/best.keras"
    assert not cache.exists()


def test_names_that_are_nearly_one(cache):
    with pytest.raises(WeightsError, match="did you mean yolov4-tiny-coco?"):
        catalog.locate("yolov4-tiny-cocoo")
    with pytest.raises(WeightsError, match="no such file; --weights yolov4-backbone downloads it"):
        catalog.locate("weights/yolov4.conv.137")


def test_every_model_has_weights_in_the_catalogue_and_these_name_no_other():
    from yolo.models.darknet_cfg.known import KNOWN
    from yolo.models.names import ZOO

    named = {name for entry in catalog.CATALOG.values() for name in entry.models}
    assert {name for name in named if not name.endswith(".cfg")} == set(ZOO)
    assert {name.removesuffix(".cfg") for name in named - set(ZOO)} <= set(KNOWN)


def test_weights_of_a_cfg_have_the_size_that_it_asks_for():
    from yolo.models.darknet_cfg.known import KNOWN

    for name, entry in catalog.CATALOG.items():
        if entry.cfg is not None:
            assert name == f"{entry.cfg}-coco"
            assert entry.size == 20 + 4 * KNOWN[entry.cfg].parameters()


def test_a_cfg_is_fetched_with_its_weights(cache, monkeypatch):
    with serving() as (url, kind):
        entry = catalog.Entry(url, "test", ("my.cfg",), SIZE, SHA, cfg="my")
        monkeypatch.setitem(catalog.CATALOG, "my-coco", entry)
        monkeypatch.setattr(catalog, "_CFGS", url.rpartition("/")[0])
        monkeypatch.setitem(catalog.CFG_SUMS, "my", "0" * 64)
        with pytest.raises(WeightsError, match="my.cfg"):
            catalog.locate("my-coco")
        (cache / "my.cfg").write_text("[net]", encoding="utf-8")
        assert catalog.locate("my-coco") == cache / "file.bin"


def test_the_catalogue_is_plausible():
    for name, entry in catalog.CATALOG.items():
        assert entry.url.startswith("https://") and entry.file_name, name
        assert entry.size is None or entry.size > 10**7, name
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", entry.sha256)
        digits = re.search(r"-([0-9a-f]{8})\.pth$", entry.url)
        assert digits is None or entry.sha256.startswith(digits[1]), name
    assert len({entry.file_name for entry in catalog.CATALOG.values()}) == len(catalog.CATALOG)


def test_the_genuine_files_are_those_of_the_catalogue(shared):
    folder = shared / "weights" / "yolov4_tiny_coco"
    for name in ("yolov4-tiny-coco", "yolov4-tiny-backbone"):
        entry = catalog.CATALOG[name]
        data = (folder / entry.file_name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.size, entry.sha256)
