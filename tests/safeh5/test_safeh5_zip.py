"""Zip archives: read as `zipfile` reads them where they are sound, and refused where they are not."""

import io
import os
import stat
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.safeh5 import DamagedError, ZipError, open_zip

CONTENT = {"a.npy": bytes(range(256)) * 40, "b.npy": b"b" * 5000}
ENTRY, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def write(path, members=None, method=zipfile.ZIP_STORED, comment=b""):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in (members or CONTENT).items():
            archive.writestr(name, content)
        archive.comment = comment
    return path


def read_all(path, most=1 << 20):
    with open_zip(path) as archive:
        return {name: archive.read(name, most).tobytes() for name in archive.members}


def refusal(path, most=1 << 20):
    with pytest.raises(ZipError) as caught:
        read_all(path, most)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    return str(caught.value)


def edited(path, *changes):
    """Change numbers of the archive: (magic, which of its records, offset, format, value)."""
    content = bytearray(path.read_bytes())
    for magic, which, offset, form, value in changes:
        at = -1
        for _ in range(which + 1):
            at = content.index(magic, at + 1)
        struct.pack_into(form, content, at + offset, value)
    path.write_bytes(content)
    return path


@settings(deadline=None)
@given(
    members=st.dictionaries(
        st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=20).filter(
            lambda name: name == zipfile.ZipInfo(name).filename
        ),
        st.binary(max_size=300) | st.integers(0, 70_000).map(bytes),
        max_size=5,
    ),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    # A comment with the four letters of an end makes two archives of one file, and is refused.
    comment=st.binary(max_size=60).filter(lambda comment: b"PK\x05\x06" not in comment),
)
def test_what_zipfile_writes_is_read(tmp_path_factory, members, method, comment):
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        archive.comment = comment
    assert read_all(path) == members


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_that_were_streamed_or_have_64_bit_sizes_are_read(tmp_path, method):
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.content = b""

        def writable(self):
            return True

        def write(self, content):
            self.content += bytes(content)
            return len(content)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    (tmp_path / "streamed.zip").write_bytes(pipe.content)
    assert read_all(tmp_path / "streamed.zip") == CONTENT
    with zipfile.ZipFile(tmp_path / "long.zip", "w", method) as archive:
        for name, content in CONTENT.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    assert read_all(tmp_path / "long.zip") == CONTENT


def test_the_start_of_a_member_is_had_without_the_rest(tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with open_zip(write(tmp_path / "a.zip", method=method)) as archive:
            assert archive.start("a.npy", 10) == bytes(range(10))
            assert archive.start("b.npy", 10_000) == CONTENT["b.npy"]


def test_more_than_is_asked_for_is_not_read(tmp_path):
    assert "takes 10240 bytes, more than the 10239 that are read" in refusal(
        write(tmp_path / "a.zip"), 10_239
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([(ENTRY, 0, 16, "<I", 1), (LOCAL, 0, 14, "<I", 1)], r"'a.npy' is damaged: its checksum"),
        ([(ENTRY, 0, 16, "<I", 1)], "'a.npy' is described in two ways"),
        ([(ENTRY, 0, 8, "<H", 1)], "'a.npy' is encrypted"),
        ([(LOCAL, 0, 6, "<H", 1)], "'a.npy' is described in two ways"),
        ([(ENTRY, 1, 8, "<H", 0x40)], "'b.npy' is encrypted"),
        ([(ENTRY, 1, 8, "<H", 0x20)], "'b.npy' is a patch"),
        ([(ENTRY, 0, 10, "<H", 14)], "'a.npy' is compressed by method 14"),
        ([(ENTRY, 0, 10, "<H", 8)], "'a.npy' is described in two ways"),
        ([(ENTRY, 0, 20, "<I", 9)], "stored as it is, but in 9 bytes instead of 10240"),
        ([(ENTRY, 0, 20, "<I", 2**31), (ENTRY, 0, 24, "<I", 2**31)], "'a.npy' is described in two ways"),
        ([(ENTRY, 0, 38, "<I", (stat.S_IFLNK | 0o777) << 16)], "'a.npy' is a link, a pipe or a device"),
        ([(ENTRY, 0, 38, "<I", (stat.S_IFIFO | 0o777) << 16)], "'a.npy' is a link, a pipe or a device"),
        ([(ENTRY, 0, 34, "<H", 1)], "'a.npy' is in another volume"),
        ([(ENTRY, 0, 42, "<I", 2**31)], "'a.npy' would begin behind the end"),
        ([(ENTRY, 0, 42, "<I", 7)], "'a.npy' is not where the directory says"),
        ([(ENTRY, 1, 42, "<I", 0)], "'b.npy' is described in two ways"),
        ([(ENTRY, 0, 28, "<H", 60_000)], "a member has a name of|directory of the archive is damaged"),
        ([(ENTRY, 0, 30, "<H", 60_000)], "the directory of the archive is damaged"),
        ([(ENTRY, 0, 46, "<I", 0x1B)], "a name that is empty or cannot be printed"),
        ([(ENTRY, 0, 8, "<H", 0x800), (ENTRY, 0, 46, "<I", 0xFFFF)], "a name that is no UTF-8 text"),
        ([(LOCAL, 0, 30, "<c", b"z")], "'a.npy' is described in two ways"),
        ([(END, 0, 4, "<H", 7)], "one volume of several"),
        ([(END, 0, 8, "<H", 3)], "one volume of several"),
        ([(END, 0, 8, "<I", 0x30003)], "the directory of the archive is damaged"),
        ([(END, 0, 8, "<I", 0x10001)], "longer than its members"),
        ([(END, 0, 8, "<I", 0x7D007D0)], "has 2000 members, more than the 1000"),
        ([(END, 0, 12, "<I", 2**31)], "the directory of the archive takes 2147483648 bytes"),
        ([(END, 0, 16, "<I", 0xFFFFFFF0)], "is not where its end says"),
        ([(END, 0, 20, "<H", 9)], "the end of the archive is missing"),
    ],
)
def test_archives_that_say_two_things_are_refused(tmp_path, changes, message):
    path = edited(write(tmp_path / "a.zip"), *changes)
    found = refusal(path)
    assert any(part in found for part in message.split("|"))


def test_members_that_overlap_are_refused(tmp_path):
    inner = write(tmp_path / "inner.zip", {"b.npy": b"b"}).read_bytes()
    inner = inner[: inner.index(ENTRY)]
    path = write(tmp_path / "a.zip", {"a.npy": b"head" + inner, "b.npy": b"b"})
    at = path.read_bytes().index(b"head") + 4
    assert "'b.npy' overlaps the member 'a.npy'" in refusal(edited(path, (ENTRY, 1, 42, "<I", at)))


def test_a_name_that_is_there_twice_is_refused(tmp_path):
    path = write(tmp_path / "a.zip", {"a.npy": b"1", "b.npy": b"2"})
    path.write_bytes(path.read_bytes().replace(b"b.npy", b"a.npy"))
    assert "'a.npy' is there twice" in refusal(path)


def test_a_second_name_in_an_extra_field_is_refused(tmp_path):
    for other, is_refused in ((b"evil", True), (b"a.npy", False)):
        info = zipfile.ZipInfo("a.npy")
        info.extra = struct.pack("<HHBI", 0x7075, 5 + len(other), 1, 0) + other
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(info, b"1")
        if is_refused:
            assert "'a.npy' has another name as well" in refusal(tmp_path / "a.zip")
        else:
            assert read_all(tmp_path / "a.zip") == {"a.npy": b"1"}


def test_what_is_packed_must_have_the_size_that_was_declared(tmp_path):
    for size, message in (
        (4999, "holds more than the 4999"),
        (5001, "holds 5000 of the 5001"),
        (4 << 20, "holds 5000 of the 4194304"),
        (1 << 30, "more than 500 times"),
    ):
        path = write(tmp_path / "a.zip", {"b.npy": b"b" * 5000}, zipfile.ZIP_DEFLATED)
        edited(path, (ENTRY, 0, 24, "<I", size), (LOCAL, 0, 22, "<I", size))
        assert message in refusal(path, 1 << 31)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", bytes(64 << 20))
        archive.writestr("few.npy", bytes(8 << 20))
    with open_zip(tmp_path / "a.zip") as archive:
        with pytest.raises(ZipError, match=r"'zeros.npy' would expand from 65\d+ to 67108864 bytes"):
            archive.read("zeros.npy", 1 << 31)
        assert not archive.read("few.npy", 1 << 31).any()


def test_a_million_members_are_counted_before_they_are_read(tmp_path):
    path = write(tmp_path / "a.zip")
    content = path.read_bytes()
    start, end = content.index(ENTRY), content.index(END)
    directory = content[start:end] + (ENTRY + bytes(42)) * 1_000_000
    total = 1_000_002
    end64 = struct.pack(
        "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, total, total, len(directory), start
    ) + struct.pack("<4sIQI", b"PK\x06\x07", 0, start + len(directory), 1)
    tail = struct.pack("<4s4H2IH", END, 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0)
    path.write_bytes(content[:start] + directory + end64 + tail)
    assert "has 1000002 members, more than the 1000 that are read" in refusal(path)
    path.write_bytes(content[:start] + directory + end64[:-1] + b"\2" + tail)
    assert "zip64" in refusal(path)


def test_64_bit_sizes_that_lie_are_refused(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.zip", "w") as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(b"abc")
    path = tmp_path / "a.zip"
    content = bytearray(path.read_bytes())
    at = content.index(struct.pack("<HH", 1, 16)) + 4
    struct.pack_into("<QQ", content, at, 2**63, 2**63)
    path.write_bytes(content)
    assert "described in two ways" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04", b"x" * 100_000, END * 20_000])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)
    assert "it is no zip archive, or is cut off" in refusal(tmp_path / "a.zip")


def test_bytes_in_front_of_an_archive_are_refused_and_a_comment_is_not(tmp_path):
    path = write(tmp_path / "a.zip", comment=b"A" * 60_000)
    assert read_all(path) == CONTENT
    # Of two ends other programs take the last, which is in the comment here.
    two = write(tmp_path / "two.zip", comment=END + bytes(18) + b"A" * 60_000)
    assert "the end of the archive is missing" in refusal(two)
    path.write_bytes(b"MZ" + bytes(4096) + path.read_bytes())
    assert "is not where its end says" in refusal(path)


def test_pipes_and_folders_are_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal_of_opening(tmp_path / "pipe")
    assert "it is a folder" in refusal_of_opening(tmp_path)


def refusal_of_opening(path):
    with pytest.raises(DamagedError) as caught, open_zip(path):
        pass
    return str(caught.value)


@pytest.mark.parametrize("seed", range(5))
def test_a_damaged_archive_is_refused_or_read_but_raises_nothing_else(tmp_path, seed):
    rng = np.random.default_rng(seed)
    whole = np.frombuffer(write(tmp_path / "a.zip", method=zipfile.ZIP_DEFLATED).read_bytes(), np.uint8)
    for _ in range(100):
        content = whole.copy()
        spots = rng.integers(0, len(content), 3)
        content[spots] = rng.integers(0, 256, 3)
        (tmp_path / "a.zip").write_bytes(content.tobytes())
        try:
            found = read_all(tmp_path / "a.zip")
        except ZipError:
            continue
        assert all(CONTENT.get(name, content) == content for name, content in found.items())
