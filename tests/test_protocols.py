"""Names of images that come from others reach nothing that the caller has not named."""

import pickle
import re
import socket
import tarfile
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import joblib
import numpy as np
import pytest
from _servers import serving
from hypothesis import given
from hypothesis import strategies as st

from skclipens import CLIPEmbedder, ImageError
from skclipens.datasets import load_emoji
from skclipens.images._files import ImageFiles, find_images
from skclipens.images._protocols import check_protocols, refuse_protocols

pytest.importorskip("pyarrow")
pytest.importorskip("aiohttp")

from skclipens.embedding import read_embeddings

PICTURES = load_emoji(return_X_y=True)[0][:3].tolist()


class Listening(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path.startswith("/away"):  # to whatever address the server likes
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/away"))
            self.end_headers()
        else:
            super().do_GET()

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    """A server on the loopback with a picture and a shard of one, and a list of its requests."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.png").write_bytes(Path(PICTURES[0]).read_bytes())
    with tarfile.open(folder / "a.tar", "w") as tar:
        tar.add(PICTURES[0], "in.png")
    with serving(partial(Listening, directory=folder)) as server:
        server.requests = []
        yield server


def asks(server):
    """Names that make fsspec, or anything else that reads URLs, ask the server."""
    port = server.server_port
    return [
        f"{server.url}/a.png",
        f"HTTP://127.0.0.1:{port}/a.png",
        f"http://127.0.0.1:{port}@127.0.0.1:{port}/a.png",
        f"ftp://127.0.0.1:{port}/a.png",
        f"s3://127.0.0.1:{port}/a.png",
        f"simplecache::{server.url}/a.png",
        f"filecache::simplecache::{server.url}/a.png",
        f"blockcache::{server.url}/a.png",
        f"zip://a.png::{server.url}/a.zip",
        f"tar://in.png::{server.url}/a.tar",
        f"zip://a.png::simplecache::{server.url}/a.zip",
        f"zip://a.png::http::127.0.0.1:{port}/a.zip",
        f"file://a.png::{server.url}/a.png",
        f"reference://a.png::{server.url}/a.json",
        f"{server.url}/a.tar",
        f"simplecache::{server.url}/a.tar",
        f"webdav://127.0.0.1:{port}/a.png",
        "data:image/png;base64,AAAA",
        f"http::127.0.0.1:{port}/a.tar",
        f"http:127.0.0.1:{port}/a.png",
    ]


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_server_that_is_not_allowed_sees_no_request(tmp_path, server, n_jobs):
    names = asks(server)[:-3]
    embedder = CLIPEmbedder("zoo/RN20", on_error="nan")
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        with pytest.warns(
            UserWarning, match=rf"{len(names)} images are not fetched.* row 1, 'http"
        ):
            embedder.embed_to(tmp_path / "out", [PICTURES[0], *names], chunk_size=4)
    table = read_embeddings(tmp_path / "out")
    assert table.isna().all(axis=1).to_list() == [False] + [True] * len(names)
    embedder.set_params(on_error="raise")
    for name in names:
        with pytest.raises(ImageError, match=r"^row 1, .*pass protocols=\('file', '"):
            embedder.embed_to(tmp_path / "one", [PICTURES[0], name])
        with pytest.raises(ImageError, match=r"^X, .*pass protocols=\('file', '"):
            embedder.embed_to(tmp_path / "one", name)
    (tmp_path / "list.txt").write_text("\n".join(names))
    with pytest.raises(ImageError, match=r"^row 0, "):
        embedder.embed_to(tmp_path / "one", tmp_path / "list.txt")
    assert not (tmp_path / "one").exists()
    assert server.requests == []


def test_what_is_no_url_is_a_path(tmp_path, server):
    embedder = CLIPEmbedder("zoo/RN20", on_error="nan")
    embedder.embed_to(tmp_path / "out", [PICTURES[0], *asks(server)[-3:-2], asks(server)[-1]])
    assert read_embeddings(tmp_path / "out").isna().all(axis=1).to_list() == [False, True, True]
    with pytest.raises(FileNotFoundError):
        embedder.embed_to(tmp_path / "other", asks(server)[-2:-1])  # no shard of this name
    assert server.requests == []


@pytest.mark.parametrize("where", ["list", "transform", "forged"])
def test_other_ways_in_are_closed_too(tmp_path, server, where):
    name = f"{server.url}/a.png"
    embedder = CLIPEmbedder("zoo/RN20")
    if where == "list":
        with pytest.raises(ImageError, match="X, "):
            embedder.embed_to(tmp_path / "out", f"{server.url}/list.txt")
    elif where == "transform":
        with pytest.raises(ImageError, match="embed_to: here, URLs are not fetched"):
            embedder.transform([name])
    else:  # what a worker gets says again what is allowed
        images = ImageFiles([name], np.array([[-1, 0, 0]]), [], "/")
        assert pickle.loads(pickle.dumps(images.part(0, 1)))[0] is None
        shard = ImageFiles(["a"], np.array([[0, 0, 9]]), [f"{server.url}/a.tar"], "/")
        assert shard[0] is None
        with pytest.raises(ImageError, match=r"row 0, .*a\.tar'"):
            shard.check(0)
    assert server.requests == []


def test_what_is_allowed_is_fetched_and_rows_of_nan_do_not_stay(tmp_path, server):
    names = [*PICTURES, f"{server.url}/a.png", f"simplecache::{server.url}/a.png"]
    allowed = ("file", "http", "simplecache")
    embedder = CLIPEmbedder("zoo/RN20", on_error="nan")
    with pytest.warns(UserWarning, match="2 images are not fetched"):
        embedder.embed_to(tmp_path / "out", names)
    with pytest.raises(ValueError, match=r"n_refused was 2 and is 0.*resume=False"):
        embedder.embed_to(tmp_path / "out", names, protocols=allowed)
    embedder.embed_to(tmp_path / "out", names, protocols=allowed, resume=False)
    table = read_embeddings(tmp_path / "out")
    np.testing.assert_allclose(table.iloc[[3, 4]], table.iloc[[0, 0]], atol=1e-5)
    assert server.requests


def test_a_server_that_is_allowed_can_redirect_to_any_other(tmp_path, server):
    """Which is why the documentation says it. Nothing is redirected to a file."""
    embedder = CLIPEmbedder("zoo/RN20", on_error="nan")
    embedder.embed_to(
        tmp_path / "out", [f"{server.url}/away{server.url}/a.png"], protocols=["http"]
    )
    assert read_embeddings(tmp_path / "out").notna().all(axis=None)
    local = f"{server.url}/away{Path(PICTURES[2]).as_uri()}"
    with pytest.raises(Exception, match="file:///"):
        embedder.embed_to(tmp_path / "file", [local], protocols=["http"])


def test_paths_need_a_protocol_too(tmp_path):
    for name in (PICTURES[0], f"file://{PICTURES[0]}", f"local://{PICTURES[0]}"):
        with pytest.raises(ImageError, match=r"pass protocols=\('s3', 'file'\)"):
            CLIPEmbedder("zoo/RN20").embed_to(tmp_path / "out", [name], protocols=["s3"])
        assert find_images([name])[0]


def test_archives_look_only_into_files_that_are_allowed(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(PICTURES[0], "a.png")
    name = f"zip://a.png::{tmp_path}/a.zip"
    assert find_images([name])[0] == Path(PICTURES[0]).read_bytes()
    assert find_images(f"zip://*.png::{tmp_path}/a.zip").names == [name]
    with pytest.raises(ImageError, match="'file'"):
        find_images([name], ["https"])


@pytest.mark.parametrize("protocols", ["https", ["https://"], ["https:"], ["file/"], [None], [""]])
def test_protocols_that_are_none(protocols):
    with pytest.raises(ValueError, match="protocols="):
        check_protocols(protocols)


@pytest.mark.parametrize("allowed", [(), ("file",)])
def test_the_protocols_that_a_message_gives_are_some(allowed):
    with pytest.raises(ImageError) as caught:
        find_images(["s3://bucket/a.png"], allowed)
    given = eval(re.search(r"protocols=(\(.*\))", str(caught.value))[1])
    assert check_protocols(given) == (*allowed, "s3")


links = st.sampled_from(["zip", "tar", "file", "http", "s3", "simplecache", "zip://a", "file:///b"])


@given(st.lists(links, max_size=4), st.sampled_from(["http", "s3", "memory"]))
def test_a_chain_is_refused_wherever_the_link_is(others, protocol):
    for at in range(len(others) + 1):
        name = "::".join([*others[:at], f"{protocol}://host/a.png", *others[at:]])
        with pytest.raises(ImageError, match="row 0"):
            refuse_protocols(name, ("file",), "row 0")


def test_no_socket_is_opened_by_names(server, monkeypatch):
    def connect(*args):
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", connect)
    with pytest.warns(UserWarning, match="not fetched"):
        images = find_images(asks(server)[:-3], on_error="nan")
    assert list(images) == [None] * len(images)
