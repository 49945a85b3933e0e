"""Archives that the fetchers of data sets unpack, with members that lead outside."""

import hashlib
import io
import os
import shutil
import tarfile
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from _servers import serving

from skclipens.datasets import DatasetNotAvailableError, fetch_benchmark, fetch_tuxpaint
from skclipens.datasets._archives import kept_inside

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and devices of POSIX")
HOSTILE = (
    *("parents", "absolute", "link", "link and through it", "chain of links"),
    *("hard link", "device", "pipe"),
)


def file(name, content=b"written"):
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, io.BytesIO(content)


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, str(target)
    return info, None


def special(name, kind):
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor, info.mode = kind, 1, 3, 0o666
    return info, None


def hostile(case, outside, top="country211"):
    """Members of an archive, one of which would be outside, or lead there."""
    members = {
        "parents": [file(f"{top}/../../../{outside.name}/new"), file("../outside/new")],
        "absolute": [file(f"{outside}/new")],
        "link": [link(f"{top}/a", outside)],
        "link and through it": [link(f"{top}/a", outside), file(f"{top}/a/new")],
        "chain of links": [
            link(f"{top}/a", "."),
            link(f"{top}/a/b", "../.."),
            file(f"{top}/b/outside/new"),
        ],
        "hard link": [
            link(f"{top}/a", outside / "secret", tarfile.LNKTYPE),
            file(f"{top}/a", b"changed"),
        ],
        "device": [special(f"{top}/a", tarfile.CHRTYPE), special(f"{top}/b", tarfile.BLKTYPE)],
        "pipe": [special(f"{top}/a", tarfile.FIFOTYPE)],
    }[case]
    return [file(f"{top}/first.txt"), *members]


def write(archive, members, mode="w:gz"):
    with tarfile.open(archive, mode) as tar:
        for info, content in members:
            tar.addfile(info, content)


@pytest.fixture
def outside(tmp_path):
    """A folder beside the home of the data, which nobody may touch."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    yield folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"secret": b"secret"}
    assert (folder / "secret").stat().st_nlink == 1


@pytest.fixture
def home(tmp_path):
    """The home of the data; nothing in it is a device or leads outside, whatever is fetched."""
    folder = tmp_path / "home"
    folder.mkdir()
    yield folder
    for path in folder.rglob("*"):
        assert path.resolve().is_relative_to(folder)
        assert path.is_file() or path.is_dir()
    assert set(path.name for path in tmp_path.iterdir()) <= {"home", "outside", "served", "bin"}


@pytest.fixture
def served(tmp_path, monkeypatch):
    """What torchvision downloads for two sets, one of which it knows no checksum of."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with serving(handler) as server:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr("torchvision.datasets.Country211._URL", f"{server.url}/a.tgz")
        monkeypatch.setattr("torchvision.datasets.FGVCAircraft._URL", f"{server.url}/a.tar.gz")
        yield folder


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("name", ["country211", "aircraft"])
def test_nothing_of_a_download_gets_outside(home, outside, served, monkeypatch, name, case):
    archive = served / ("a.tgz" if name == "country211" else "a.tar.gz")
    top = "country211" if name == "country211" else "fgvc-aircraft-2013b"
    write(archive, hostile(case, outside, top))

    def fetch():
        with pytest.raises(DatasetNotAvailableError):
            fetch_benchmark(name, data_home=home, source="torchvision")

    if name == "country211":
        fetch()  # it has not the checksum of the publisher's, and is not unpacked
        assert not list(home.rglob("first.txt"))
        md5 = hashlib.md5(archive.read_bytes()).hexdigest()
        monkeypatch.setattr("torchvision.datasets.Country211._MD5", md5)
    fetch()
    assert not list(home.rglob(top))  # nor is a part taken for the set
    assert tarfile.TarFile.__dict__.get("extraction_filter") is None


def package(path, members):
    """A Debian package of these files: an ar archive of two tar files."""
    data, control = io.BytesIO(), io.BytesIO()
    for content, some in ((data, members), (control, [file("./control", CONTROL)])):
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            for info, stream in some:
                tar.addfile(info, stream)
    with open(path, "wb") as deb:
        deb.write(b"!<arch>\n")
        for name, content in [
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", control.getvalue()),
            ("data.tar.gz", data.getvalue()),
        ]:
            deb.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
            deb.write(content + b"\n" * (len(content) % 2))


CONTROL = b"Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@a>\nDescription: a\n"


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_of_a_package_gets_outside(home, outside, tmp_path, monkeypatch, case):
    """The first members are good, so that what is unpacked before is not taken for the stamps."""
    commands = tmp_path / "bin"
    commands.mkdir()
    stamps = "./usr/share/tuxpaint/stamps"
    members = hostile(case, outside, stamps)
    package(commands / "a.deb", members)
    apt = commands / "apt-get"
    apt.write_text(f'#!/bin/sh\ncp "{commands}/a.deb" .\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    with pytest.raises(OSError, match=r"is not unpacked|No stamps"):
        fetch_tuxpaint(data_home=home)
    if case not in ("absolute", "chain of links"):  # which lead below the folder
        assert not list(home.rglob("first.txt"))


def test_a_zip_file_stays_inside(home, outside):
    """As torchvision unpacks it."""
    from torchvision.datasets.utils import extract_archive

    archive = home / "a.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for name in ("../outside/new", f"{outside}/new", "a/../../../outside/new"):
            content.writestr(name, "written")
        linked = zipfile.ZipInfo("link")
        linked.external_attr = 0o120777 << 16
        content.writestr(linked, str(outside))
        content.writestr("link/new", "written")
    try:
        extract_archive(str(archive), str(home / "to"))
    except OSError:  # "link" is a file
        pass
    assert list(Path(home, "to").rglob("new"))


def test_the_filter_is_as_before_afterwards(home):
    with pytest.raises(RuntimeError), kept_inside(home / "new"):
        assert tarfile.TarFile.extraction_filter is tarfile.data_filter
        (home / "new").mkdir()
        raise RuntimeError
    assert not (home / "new").exists()
    assert tarfile.TarFile.__dict__.get("extraction_filter") is None
