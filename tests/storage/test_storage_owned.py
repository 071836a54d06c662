"""Folders of probe's own: nothing in them is followed, nobody else's file is touched, and they stay what they were."""

import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from probe._checks import InputError
from probe.storage import OwnedFolder


@pytest.fixture
def out(tmp_path):
    folder = OwnedFolder(tmp_path / "out")
    folder.write("a.txt", b"old")
    folder.write("sub/b.txt", b"old")
    return folder


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "elsewhere" / "victim"
    path.parent.mkdir()
    path.write_text("mine")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_is_read_again_and_leaves_no_part(out):
    assert out.write("c.bin", b"new") == out.path / "c.bin"
    assert out.write("sub/deep/d.bin", memoryview(b"deep")).read_bytes() == b"deep"
    assert (out.read("c.bin"), out.read("sub/b.txt")) == (b"new", b"old")
    assert names(out.path) == ["a.txt", "c.bin", "sub"]
    assert [out.kind(name) for name in ("a.txt", "sub", "x", "x/y", "a.txt/y")] == [
        "file",
        "folder",
        None,
        None,
        None,
    ]


def test_the_path_that_a_user_typed_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "typed").symlink_to(tmp_path / "real")
    OwnedFolder(tmp_path / "typed").write("a", b"x")
    assert names(tmp_path / "real") == ["a"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_writing_replaces_a_link_and_leaves_alone_what_it_leads_to(out, victim, link):
    (out.path / "a.txt").unlink()
    link(victim, out.path / "a.txt")
    out.write("a.txt", b"new")
    assert victim.read_text() == "mine"
    assert out.read("a.txt") == b"new" and not (out.path / "a.txt").is_symlink()


def test_a_link_to_nothing_makes_no_file_there(out, victim):
    (out.path / "new").symlink_to(victim.with_name("nothing"))
    out.write("new", b"x")
    assert names(victim.parent) == ["victim"]


@pytest.mark.parametrize("use", ["write", "append", "read", "own", "remove"])
def test_a_subfolder_that_is_a_link_is_not_entered(out, victim, use):
    shutil.rmtree(out.path / "sub")
    (out.path / "sub").symlink_to(victim.parent)
    with pytest.raises((InputError, OSError), match=r"sub is a symbolic link|Not a directory"):
        if use == "read":
            out.read("sub/victim")
        elif use == "remove":
            out.remove("sub/victim")
            raise NotADirectoryError("Not a directory")
        elif use == "own":
            out.own("sub/victim")
        else:
            getattr(out, use)("sub/victim", b"x")
    assert victim.read_text() == "mine" and names(victim.parent) == ["victim"]
    with pytest.raises(
        InputError, match=r"sub is a symbolic link, and none is followed there\. Remove it, or"
    ):
        out.check("sub", "folder")


def test_a_folder_inside_an_owned_one_is_not_followed_either(out, victim):
    (out.path / "tuning").symlink_to(victim.parent)
    with pytest.raises(InputError, match="tuning is a symbolic link"):
        out.inside("tuning").create()
    with pytest.raises(InputError, match="tuning is a symbolic link"):
        out.inside("tuning").write("trials/x", b"")
    assert names(victim.parent) == ["victim"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_lines_are_not_added_through_a_link(out, victim, link):
    link(victim, out.path / "lines")
    with pytest.raises(
        InputError, match=r"lines cannot be written: .*(symbolic links|second name elsewhere)"
    ):
        out.append("lines", b"x\n")
    assert victim.read_text() == "mine"


def test_a_file_with_a_second_name_is_made_our_own(out, victim):
    os.link(victim, out.path / "lines")
    out.own("lines")
    out.append("lines", b"x\n")
    assert victim.read_text() == "mine" and out.read("lines") == b"mine\nx\n"
    out.own("a.txt")
    assert out.read("a.txt") == b"old"


def test_a_line_that_was_cut_off_swallows_none(out):
    out.append("a.txt", b"1\n")
    out.append("a.txt", b"2\n")
    assert out.read("a.txt") == b"old\n1\n2\n"
    with pytest.raises(InputError, match="No such file"):
        out.append("missing", b"x")


def special(kind: str, path: Path) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        # Its path must be short.
        here = os.open(path.parent, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        path.symlink_to(path.with_name("a.txt"))
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link", "folder"])
def test_what_is_no_regular_file_is_not_read_and_does_not_hang(out, kind):
    special(kind, out.path / "x")
    done = []

    def read():
        for use in (lambda: out.read("x"), lambda: out.append("x", b"1")):
            with pytest.raises((OSError, InputError)):
                use()
        done.append(True)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(5)
    assert done, f"a {kind} was waited for"


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "link"])
def test_what_is_no_regular_file_is_replaced(out, kind):
    special(kind, out.path / "x")
    out.write("x", b"new")
    assert out.read("x") == b"new" and out.kind("x") == "file"


def test_more_than_is_wanted_is_not_read(out):
    with pytest.raises(OSError, match="more than 2 bytes"):
        out.read("a.txt", 2)
    assert out.read("a.txt", 3) == b"old"


def test_a_folder_of_that_name_is_refused(out):
    with pytest.raises(InputError, match="sub cannot be written: Is a directory"):
        out.write("sub", b"x")
    assert names(out.path) == ["a.txt", "sub"]


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_was_removed_is_not_made_anew(out, again):
    shutil.rmtree(out.path)
    if again:
        out.path.mkdir()
    for use in (
        lambda: out.write("a.txt", b"x"),
        lambda: out.append("a.txt", b"x"),
        lambda: out.inside("tuning").write("a.txt", b"x"),
        out.create,
    ):
        with pytest.raises(InputError, match="was removed or exchanged while it was in use"):
            use()
    assert out.path.exists() is again


def test_a_folder_that_was_moved_away_is_not_written_to(out, tmp_path):
    out.path.rename(tmp_path / "moved")
    out.path.symlink_to(tmp_path)
    with pytest.raises(InputError, match="removed or exchanged"):
        out.write("c", b"x")
    assert names(tmp_path / "moved") == ["a.txt", "sub"]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "a//b", ".", "a\0b"])
def test_names_that_lead_elsewhere_are_refused(out, name):
    with pytest.raises(InputError, match="cannot be called"):
        out.write(name, b"x")
    assert names(out.path) == ["a.txt", "sub"]


def test_what_killed_writers_left_is_removed_and_a_link_is_only_unlinked(out, victim):
    (out.path / ".a.txt.12345678.part").touch()
    (out.path / "sub" / ".b.12345678.part").symlink_to(victim)
    (out.path / "other").symlink_to(victim.parent)
    victim.with_name(".c.part").touch()
    out.remove_leftovers("sub", "other", "missing")
    assert names(out.path) == ["a.txt", "other", "sub"] and names(out.path / "sub") == ["b.txt"]
    assert names(victim.parent) == [".c.part", "victim"] and victim.read_text() == "mine"


@pytest.mark.parametrize(("path", "reason"), [("/dev/null/x", "not a folder"), ("/proc/x/y", "No such file")])
def test_a_folder_that_cannot_be_made_is_named(path, reason):
    with pytest.raises(InputError, match=f"{path}.* cannot be written.*{reason}.*Pass another --out"):
        OwnedFolder(path).write("a", b"")
