"""get_file: the cache, hashes, downloads that fail, and archives that attack."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from berrante.saving.guard import RefusedFile
from berrante.utils import archives, get_file
from berrante.utils.archives import extract_archive


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def source(tmp_path: Path, content: bytes = b"hello", name: str = "hello.txt") -> tuple[str, str]:
    path = tmp_path / name
    path.write_bytes(content)
    return path.as_uri(), hashlib.sha256(content).hexdigest()


def test_download_and_cache(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    origin, sha = source(tmp_path)
    path = get_file("name.txt", origin, file_hash=sha)
    assert path == str(home / "datasets" / "name.txt") and Path(path).read_bytes() == b"hello"
    assert f"Downloading data from {origin}" in capsys.readouterr().out
    (tmp_path / "hello.txt").write_bytes(b"changed")
    assert Path(get_file("name.txt", origin)).read_bytes() == b"hello"  # from the cache
    assert Path(get_file("name.txt", origin, force_download=True)).read_bytes() == b"changed"
    assert get_file(origin=origin, cache_subdir="other").endswith(os.path.join("other", "hello.txt"))
    assert get_file(origin=origin, cache_dir=tmp_path / "d", cache_subdir="") == str(tmp_path / "d" / "hello.txt")
    assert os.stat(path).st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_hashes(tmp_path: Path, home: Path) -> None:
    origin, sha = source(tmp_path)
    md5 = hashlib.md5(b"hello").hexdigest()
    for arguments in (
        {"md5_hash": md5},
        {"file_hash": md5},
        {"file_hash": sha.upper()},
        {"file_hash": sha, "hash_algorithm": "sha256"},
    ):
        assert Path(get_file("a", origin, **arguments)).read_bytes() == b"hello"
    with pytest.raises(ValueError, match="corrupted"):
        get_file("b", origin, file_hash="0" * 64)
    with pytest.raises(ValueError, match="hash_algorithm"):
        get_file("c", origin, file_hash=sha, hash_algorithm="sha1")
    # An outdated file is replaced; if what comes is wrong too, it stays.
    (home / "datasets" / "a").write_bytes(b"old")
    with pytest.raises(ValueError, match="corrupted"):
        get_file("a", origin, file_hash="1" * 64)
    assert (home / "datasets" / "a").read_bytes() == b"old"
    assert Path(get_file("a", origin, file_hash=sha)).read_bytes() == b"hello"
    assert sorted(os.listdir(home / "datasets")) == ["a"]


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("no route"), TimeoutError("timed out"), ConnectionResetError("reset")]
)
def test_no_network(error: Exception, home: Path) -> None:
    with mock.patch("urllib.request.urlopen", side_effect=error):
        with pytest.raises(OSError, match="URL fetch failure on https://x.org/f.npz.*put that file.*f.npz") as caught:
            get_file(origin="https://x.org/f.npz", file_hash="a" * 64)
    assert str(home / "datasets" / "f.npz") in str(caught.value) and "sha256 " + "a" * 64 in str(caught.value)
    assert os.listdir(home / "datasets") == []


def test_a_download_that_breaks_off_leaves_nothing(home: Path) -> None:
    response = mock.MagicMock(headers={"Content-Length": "100"})
    response.__enter__.return_value = response
    response.read.side_effect = [b"12345", b""]
    with mock.patch("urllib.request.urlopen", return_value=response), pytest.raises(OSError, match="5 of 100 bytes"):
        get_file(origin="https://x.org/f.npz")
    response.read.side_effect = KeyboardInterrupt
    with mock.patch("urllib.request.urlopen", return_value=response), pytest.raises(KeyboardInterrupt):
        get_file(origin="https://x.org/f.npz")
    assert os.listdir(home / "datasets") == []


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "..", "."])
def test_names_are_no_paths(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fname"):
        get_file(name, source(tmp_path)[0])
    with pytest.raises(ValueError, match="origin"):
        get_file("x")
    with pytest.raises(ValueError, match="fname"):
        get_file(origin="https://x.org/..")
    with pytest.raises(ValueError, match="fname"):
        get_file(origin="https://x.org/")


# --- archives ----------------------------------------------------------------------------------------------------------


def tar(path: Path, members: list[tarfile.TarInfo | tuple[str, bytes]], mode: Any = "w:gz", **arguments: Any) -> Path:
    with tarfile.open(path, mode, **arguments) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def zipped(path: Path, members: list[tuple[Any, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def link(name: str, to: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def device(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    return info


def linked_zip(path: Path) -> Path:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped(path, [("good.txt", b"good"), (info, b"/etc")])


GOOD = ("good.txt", b"good")
ATTACKS: dict[str, Callable[[Path], Path]] = {
    "tar_up": lambda p: tar(p, [GOOD, ("../evil.txt", b"evil")]),
    "tar_up_inside": lambda p: tar(p, [GOOD, ("a/../../evil.txt", b"evil")]),
    "tar_absolute": lambda p: tar(p, [GOOD, (str(p.parent / "evil.txt"), b"evil")]),
    "tar_symlink": lambda p: tar(p, [GOOD, link("x", "/etc/passwd", tarfile.SYMTYPE)]),
    "tar_symlink_up": lambda p: tar(p, [GOOD, link("x", "..", tarfile.SYMTYPE), ("x/evil.txt", b"evil")]),
    "tar_symlink_inside": lambda p: tar(p, [GOOD, link("x", "good.txt", tarfile.SYMTYPE)]),
    "tar_hardlink": lambda p: tar(p, [GOOD, link("x", "/etc/passwd", tarfile.LNKTYPE)]),
    "tar_hardlink_up": lambda p: tar(p, [GOOD, link("x", "../secret.txt", tarfile.LNKTYPE)]),
    "tar_link_dot_dot": lambda p: tar(
        p, [GOOD, link("link", "deep/deeper", tarfile.SYMTYPE), ("link/../evil.txt", b"evil")]
    ),
    "tar_fifo": lambda p: tar(p, [GOOD, device("x", tarfile.FIFOTYPE)]),
    "tar_device": lambda p: tar(p, [GOOD, device("x", tarfile.CHRTYPE)]),
    "tar_file_as_folder": lambda p: tar(p, [GOOD, ("good.txt/x", b"evil")]),
    "tar_folder_as_file": lambda p: tar(p, [GOOD, ("d/x", b"x"), ("d", b"x")]),
    "tar_truncated": lambda p: _cut(tar(p, [GOOD, ("long", os.urandom(50_000))])),
    "tar_bomb": lambda p: tar(p, [GOOD, ("zeros", bytes(80 << 20))]),
    "tar_header_bomb": lambda p: tar(
        p, [GOOD, _pax("x", 3 << 20)], format=tarfile.PAX_FORMAT
    ),
    "zip_up": lambda p: zipped(p, [GOOD, ("../evil.txt", b"evil")]),
    "zip_up_inside": lambda p: zipped(p, [GOOD, ("a/../../evil.txt", b"evil")]),
    "zip_absolute": lambda p: zipped(p, [GOOD, (str(p.parent / "evil.txt"), b"evil")]),
    "zip_symlink": linked_zip,
    "zip_file_as_folder": lambda p: zipped(p, [GOOD, ("good.txt/x", b"evil")]),
    "zip_bomb": lambda p: zipped(p, [GOOD, ("zeros", bytes(80 << 20))]),
    "zip_damaged": lambda p: _spoil(zipped(p, [("long", os.urandom(5000)), GOOD])),
}  # fmt: skip


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:20_000])
    return path


def _spoil(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[2000] ^= 255
    path.write_bytes(data)
    return path


def _pax(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.pax_headers = {"comment": "x" * size}
    return info


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused_whole(name: str, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "in").mkdir()
    archive = ATTACKS[name](tmp_path / "in" / "archive")
    target = tmp_path / "out" / "target"
    with pytest.raises(RefusedFile, match="archive"):
        extract_archive(archive, target)
    assert os.listdir(tmp_path / "out") == []
    assert not list(tmp_path.rglob("evil*")) and (tmp_path / "secret.txt").read_text() == "secret"
    # A folder that is there keeps its files, and the valid archive still extracts afterwards.
    target.mkdir()
    (target / "mine.txt").write_text("mine")
    with pytest.raises(RefusedFile):
        extract_archive(archive, target)
    assert os.listdir(target) == ["mine.txt"]
    assert extract_archive(tar(tmp_path / "valid", [GOOD]), target)
    assert sorted(os.listdir(target)) == ["good.txt", "mine.txt"]


def test_declared_sizes_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    with pytest.raises(RefusedFile, match="expand"):
        extract_archive(tar(tmp_path / "many", [(str(i), b"") for i in range(5)]), tmp_path / "out")
    path = zipped(tmp_path / "lies.zip", [("x", b"y" * 1000)])
    data = path.read_bytes()
    path.write_bytes(data.replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(RefusedFile):
        extract_archive(path, tmp_path / "out")


def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    target.mkdir()
    elsewhere.mkdir()
    (target / "d").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(RefusedFile, match="link"):
        extract_archive(tar(tmp_path / "a.tar.gz", [("d/x.txt", b"x")]), target)
    assert os.listdir(elsewhere) == []


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_valid_archives(mode: str, tmp_path: Path) -> None:
    folder = tarfile.TarInfo("empty")
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    long_name = "d/" + "n" * 180
    members: list[Any] = [GOOD, ("./a/b.txt", b"b"), (long_name, b"long"), ("zeros", bytes(1 << 20))]
    path = tmp_path / "archive"
    archive = zipped(path, [*members, ("empty/", b"")]) if mode == "zip" else tar(path, [*members, folder], mode)
    assert extract_archive(archive, tmp_path / "out", "zip" if mode == "zip" else "tar")
    out = tmp_path / "out"
    assert (out / "good.txt").read_bytes() == b"good" and (out / "a" / "b.txt").read_bytes() == b"b"
    assert (out / long_name).read_bytes() == b"long" and (out / "empty").is_dir()
    assert extract_archive(archive, out)  # once more, into the same folder
    assert not extract_archive(archive, tmp_path / "x", "tar" if mode == "zip" else "zip")
    assert not extract_archive(archive, tmp_path / "x", None) and not (tmp_path / "x").exists()


def test_get_file_extracts(tmp_path: Path, home: Path) -> None:
    origin = tar(tmp_path / "data.tar.gz", [("data/x.txt", b"x")]).as_uri()
    for arguments, folder, archive in (
        ({"fname": "data.tar.gz", "extract": True}, "data_extracted", "data.tar.gz"),
        ({"fname": "plain", "untar": True}, "plain", "plain_archive"),
        ({"extract": True}, "data.tar.gz", "data.tar.gz_archive"),
    ):
        subdir = folder + "_cache"
        path = get_file(origin=origin, cache_subdir=subdir, **arguments)
        assert path == str(home / subdir / folder) and (Path(path) / "data" / "x.txt").read_bytes() == b"x"
        assert sorted(os.listdir(home / subdir)) == sorted([folder, archive])
    evil = ATTACKS["tar_up"](tmp_path / "evil.tar.gz").as_uri()
    with pytest.raises(RefusedFile):
        get_file("evil", evil, extract=True)
    with pytest.warns(UserWarning, match="extract"):
        get_file("text", source(tmp_path)[0], extract=True)
    with pytest.raises(FileNotFoundError):
        extract_archive(tmp_path / "none.tar", tmp_path / "x")
    with pytest.raises(ValueError, match="archive_format"):
        extract_archive(tmp_path / "data.tar.gz", tmp_path / "x", "rar")
