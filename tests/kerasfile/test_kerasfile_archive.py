"""The archive around a model: each rule for its members. What Keras writes is tested where networks are."""

import io
import stat
import warnings
import zipfile
from dataclasses import replace

import h5py
import numpy as np
import pytest

from probe._checks import ModelFileError
from probe.kerasfile._archives import is_archive, open_archive
from probe.safeh5 import DEFAULT_LIMITS

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def hdf5():
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file["kernel"] = np.arange(12.0).reshape(3, 4)
        file.attrs["name"] = "a text"
    return content.getvalue()


MEMBERS = {METADATA: "{}", CONFIG: '{"a": 1}', WEIGHTS: hdf5()}


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "model.keras"

    def written(changes=None, method=zipfile.ZIP_STORED, infos=()):
        with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, content in (MEMBERS | (changes or {})).items():
                if content is not None:
                    archive.writestr(name, content, method)
            for info in infos:
                archive.writestr(info, "x")
        return path

    return written


def refused(path, match, limits=DEFAULT_LIMITS):
    with pytest.raises(ModelFileError, match=match) as caught, open_archive(path, limits):
        raise AssertionError
    message = str(caught.value)
    assert message.startswith(str(path)) and message.isprintable()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_three_members_are_read(write, method):
    path = write(method=method)
    assert is_archive(path)
    with open_archive(path) as archive:
        assert (archive.config, archive.metadata) == ('{"a": 1}', "{}")
        file = archive.weights
        np.testing.assert_array_equal(
            file.array(file.root, "kernel", columns=slice(1, 3)), np.arange(12.0).reshape(3, 4)[:, 1:3]
        )
        assert file.text(file.root, "name") == "a text"
        with pytest.raises(ModelFileError, match=r"model\.keras, model\.weights\.h5: /bias is missing"):
            file.array(file.root, "bias")


def test_metadata_may_be_missing_and_other_members_may_be_there(write):
    with open_archive(write({METADATA: None, "assets/vocabulary.txt": "a b"})) as archive:
        assert archive.metadata is None


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({CONFIG: None}, r"has no config\.json; .* It has 'metadata\.json', 'model\.weights\.h5'"),
        ({WEIGHTS: None, "model.weights.npz": "x"}, r"has no model\.weights\.h5; weights of another kind"),
        ({CONFIG: b"\xff\xfe"}, r"the member 'config\.json' is no UTF-8 text"),
        ({WEIGHTS: b"no HDF5"}, "model.weights.h5 is not an HDF5 file: it starts with b'no HDF5'"),
        ({WEIGHTS: b""}, "model.weights.h5 is not an HDF5 file"),
        ({WEIGHTS: hdf5()[:-100]}, "model.weights.h5 is a damaged HDF5 file"),
        ({METADATA: " " * 70000}, r"the member 'metadata\.json' takes 70000 bytes, more than the 65536"),
        ({"../escape": "x"}, r"the member '\.\./escape' has a path that leads out of the archive"),
        ({"/etc/passwd": "x"}, "has a path that leads out"),
        ({"a\\..\\..\\b": "x"}, "has a path that leads out"),
        ({"C:/b": "x"}, "has a path that leads out"),
    ],
)
def test_members_that_no_model_has_are_refused(write, changes, match):
    refused(write(changes), match)


def test_a_member_that_is_there_twice_is_refused(write):
    refused(write(infos=[zipfile.ZipInfo(CONFIG)]), r"the member 'config\.json' is there twice")


def test_links_and_encrypted_members_are_refused(write):
    link = zipfile.ZipInfo("assets")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    refused(write(infos=[link]), "the member 'assets' is a link")
    path = write()
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    refused(path, "is encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(write, method):
    refused(write(method=method), rf"is compressed by method {method}; only stored and deflated")


def test_bombs_are_refused_before_they_are_read(write):
    bomb = write({CONFIG: " " * (4 << 20)}, zipfile.ZIP_DEFLATED)
    refused(bomb, r"the member 'config\.json' takes 4194304 bytes but is stored in \d+$")
    for limits, match in (
        (
            replace(DEFAULT_LIMITS, archive_bytes=1000),
            r"'model\.weights\.h5' takes \d+ bytes, more than the 1000",
        ),
        (replace(DEFAULT_LIMITS, text_bytes=5), r"'config\.json' takes 8 bytes, more than the 5"),
        (replace(DEFAULT_LIMITS, archive_members=2), "has 3 members, more than the 2"),
        (replace(DEFAULT_LIMITS, file_bytes=50), r"has \d+ bytes, more than the 50"),
    ):
        refused(write(), match, limits)


def test_damaged_archives_are_refused(write):
    data = write().read_bytes()
    for damaged in (data[: len(data) // 2], data[:-30], data.replace(b'{"a": 1}', b'{"a": 2}')):
        path = write()
        path.write_bytes(damaged)
        refused(path, "is a damaged zip archive: ")


def test_a_directory_that_lies_about_sizes_is_refused(write):
    path = write()
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02", data.rindex(CONFIG.encode()) - 60)
    for size in (7, 9, 1 << 20):
        data[entry + 24 : entry + 28] = size.to_bytes(4, "little")
        path.write_bytes(data)
        refused(path, "is a damaged zip archive|does not have the")


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a").write_bytes(hdf5())
    assert not is_archive(tmp_path / "a") and not is_archive(tmp_path) and not is_archive(tmp_path / "no")
    assert not is_archive("/dev/zero")
