"""ZIP archives that lie or lead elsewhere, as `.keras` files and as archives to extract: each is refused, by every entry point."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import berrante
from berrante import layers as L
from berrante.cli import main
from berrante.saving.guard import RefusedFile
from berrante.utils.archives import extract_archive

X = np.random.default_rng(0).random((4, 6)).astype("float32")
WEIGHTS = "model.weights.h5"


def network() -> Any:
    return berrante.Sequential([L.Input((6,)), L.Dense(5, name="a"), L.Dense(2, name="b")])


def added(
    name: str, data: bytes = b"x", mode: int = 0, packing: int = zipfile.ZIP_STORED
) -> Callable[[bytearray], bytes]:
    """One more member."""

    def change(content: bytearray) -> bytes:
        import io

        file = io.BytesIO(bytes(content))
        with zipfile.ZipFile(file, "a") as archive:
            info = zipfile.ZipInfo("placeholder" if "\0" in name else name)
            info.external_attr, info.compress_type = mode << 16, packing
            archive.writestr(info, data)
        made = file.getvalue()
        return made.replace(b"placeholder", name.encode().ljust(11, b"\0")) if "\0" in name else made

    return change


def entry(content: bytes, name: str) -> int:
    """Where a member's record begins in the central directory."""
    at = content.find(b"PK\1\2")
    while at >= 0:
        length = struct.unpack_from("<H", content, at + 28)[0]
        if content[at + 46 : at + 46 + length] == name.encode():
            return at
        at = content.find(b"PK\1\2", at + 4)
    raise AssertionError(name)


def patched(offset: int, kind: str, value: Any, name: str = WEIGHTS) -> Callable[[bytearray], bytes]:
    """A field of a member's record in the central directory, `value` a number or a function of the old one."""

    def change(content: bytearray) -> bytes:
        at = entry(content, name) + offset
        old = struct.unpack_from(kind, content, at)[0]
        struct.pack_into(kind, content, at, value(old) if callable(value) else value)
        return bytes(content)

    return change


def overlapping(content: bytearray) -> bytes:
    """Two members of different names that share their bytes, as in bombs of overlapping members."""
    config, weights = entry(content, "config.json"), entry(content, WEIGHTS)
    content[weights + 42 : weights + 46] = content[config + 42 : config + 46]
    return bytes(content)


def huge_zip64(content: bytearray) -> bytes:
    """A member that declares 2 ** 60 bytes in a zip64 field."""
    at = entry(content, "metadata.json")
    name, extra = struct.unpack_from("<HH", content, at + 28)
    field = struct.pack("<HHQ", 1, 8, 1 << 60)
    struct.pack_into("<I", content, at + 24, 0xFFFFFFFF)
    struct.pack_into("<H", content, at + 30, extra + len(field))
    content[at + 46 + name : at + 46 + name] = field
    end = content.rfind(b"PK\5\6")
    struct.pack_into("<I", content, end + 12, struct.unpack_from("<I", content, end + 12)[0] + len(field))
    return bytes(content)


def nested_bomb(content: bytearray) -> bytes:
    """A bomb inside the weights' member: HDF5 that declares far more than it stores."""
    import io

    import h5py

    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.create_dataset("layers/dense/vars/0", (1 << 15, 1 << 15), "f4", chunks=(1024, 1024), compression="gzip")
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("config.json", old.read("config.json"))
        new.writestr(WEIGHTS, file.getvalue())
    return made.getvalue()


ATTACKS: dict[str, Callable[[bytearray], bytes]] = {
    "climbs": added("../evil"), "climbs inside": added("assets/../../evil"), "absolute": added("/tmp/evil"),
    "backslashes": added("..\\..\\evil"), "a drive": added("C:evil"), "a NUL in the name": added("evil\0.txt"),
    "a link": added("assets/l", b"/etc/passwd", stat.S_IFLNK | 0o777), "a device": added("assets/d", b"", stat.S_IFCHR | 0o666),
    "a pipe": added("assets/p", b"", stat.S_IFIFO | 0o666),
    "a bomb": added("assets/bomb", bytes(1 << 27), packing=zipfile.ZIP_DEFLATED), "another packing": added("x", b"x" * 99, packing=zipfile.ZIP_BZIP2),
    "encrypted": patched(8, "<H", lambda flags: flags | 1), "an unknown packing": patched(10, "<H", 97),
    "more bytes than there are": patched(24, "<I", lambda n: n + 1000), "fewer bytes than there are": patched(24, "<I", 16),
    "a packed size beyond the end": patched(20, "<I", 1 << 30), "a wrong checksum": patched(16, "<I", lambda crc: crc ^ 1),
    "a place beyond the end": patched(42, "<I", 1 << 30), "overlapping members": overlapping, "a huge zip64 size": huge_zip64,
    "a bomb in the bomb": nested_bomb, "cut short": lambda c: bytes(c[: len(c) * 2 // 3]), "no directory": lambda c: bytes(c[: c.rfind(b"PK\1\2")]),
}  # fmt: skip


@pytest.mark.parametrize("what", ATTACKS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_are_refused_by_every_entry_point(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, path, attack = network(), tmp_path / "m.keras", tmp_path / "attack.keras"
    model.save(path)
    attack.write_bytes(ATTACKS[what](bytearray(path.read_bytes())))
    before, names = model.get_weights(), set(os.listdir(tmp_path))
    for entry_point in (berrante.models.load_model, model.load_weights):
        with pytest.raises(RefusedFile):
            entry_point(attack)
    assert main(["summary", str(attack)]) == 1 and main(["convert", str(attack), "out.h5"]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert set(os.listdir(tmp_path)) == names and not Path("/tmp/evil").exists()
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(berrante.models.load_model(path).predict(X), model.predict(X))


# What to extract may hold other packings, and bombs count from more bytes on.
EXTRACTED = [
    "climbs", "climbs inside", "absolute", "a link", "a device", "a pipe", "a bomb", "encrypted", "more bytes than there are",
    "fewer bytes than there are", "a wrong checksum", "a place beyond the end", "a huge zip64 size", "cut short", "a NUL in the name", "overlapping members",
]  # fmt: skip


@pytest.mark.parametrize("what", EXTRACTED)
def test_archives_are_not_extracted(what: str, tmp_path: Path) -> None:
    path, attack = tmp_path / "m.keras", tmp_path / "attack.zip"
    network().save(path)
    attack.write_bytes(ATTACKS[what](bytearray(path.read_bytes())))
    (tmp_path / "out").mkdir()
    with pytest.raises(RefusedFile):
        if not extract_archive(attack, tmp_path / "out"):
            raise RefusedFile("no archive at all")
    assert os.listdir(tmp_path / "out") == [] and not Path("/tmp/evil").exists()
    assert sorted(os.listdir(tmp_path)) == ["attack.zip", "m.keras", "out"]


def test_pipes_and_devices_are_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = network()
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.json")
    for path in (str(tmp_path / "pipe"), "/dev/zero"):
        for entry_point in (berrante.models.load_model, model.load_weights):
            with pytest.raises(RefusedFile, match="plain file"):
                entry_point(path)
        assert main(["summary", path]) == 1
    assert main(["summary", str(tmp_path / "pipe.json")]) == 1
    (tmp_path / "big.json").write_bytes(b" " * (33 << 20))
    assert main(["summary", str(tmp_path / "big.json")]) == 1
    assert "Traceback" not in capsys.readouterr().err
