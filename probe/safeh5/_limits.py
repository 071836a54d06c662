"""How much is read of a file that may be broken or hostile."""

from __future__ import annotations

from dataclasses import dataclass, fields

from probe._errors import InputError

__all__ = ["DEFAULT_LIMITS", "Limits", "limits_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is read of one file at most; more of anything is refused.

    The defaults admit every model that this machine could compute with, and keep the time and the memory
    that a hostile file can claim small. For a bigger model: `replace(DEFAULT_LIMITS, tensor_bytes=8 << 30)`.
    Functions that take limits also take None, for files of one's own: then nothing is limited.

    Attributes
    ----------
    file_bytes : int
        Largest file that is opened. Opening one reads little of it, whatever its size.
    steps : int
        Work on the structure of the file (its messages, names, nodes, 4 bytes under a checksum), besides one
        step for every 32 bytes of the file. A step takes about a microsecond.
    structure_bytes : int
        Longest piece of structure, such as a header or a heap of names.
    members : int
        Most members of a group, and most attributes of an object.
    tensor_bytes : int
        Largest single array, or part of one, that is read.
    total_bytes : int
        Largest sum of all that is read from one file.
    chunk_bytes : int
        Largest chunk of a chunked array.
    chunks : int
        Most chunks of one array, besides one for every 256 bytes of it.
    compression : int
        Largest ratio of an array's bytes to its bytes on disk, beyond the first MiB. Weights reach about
        1.1, sparse images about 20; bombs reach 1,000 with one deflate and 1,000,000 with two.
    rank : int
        Most axes of an array.
    text_bytes : int
        Longest text, such as a model's configuration; those of Keras have about 1 KB for each layer.
    strings_bytes : int
        Longest list of strings, all of them together.
    json_tokens : int
        Most brackets, commas, colons and escapes in one JSON text; those of Keras have about 120 for each
        layer. Each can take some 80 bytes of memory.
    activation_values : int
        Most values that one layer of a model puts out for one input, or needs in one array on the way.
    depth : int
        Most components in the name of an object.
    archive_bytes : int
        Largest weights of a .keras archive, which are read into memory whole.
    archive_members : int
        Most members of a zip archive.

    Examples
    --------
    >>> from dataclasses import replace
    >>> replace(DEFAULT_LIMITS, tensor_bytes=1 << 20).tensor_bytes
    1048576
    """

    file_bytes: int = 64 << 30
    steps: int = 300_000
    structure_bytes: int = 16 << 20
    members: int = 1 << 16
    tensor_bytes: int = 512 << 20
    total_bytes: int = 2 << 30
    chunk_bytes: int = 64 << 20
    chunks: int = 1 << 12
    compression: int = 200
    rank: int = 8
    text_bytes: int = 4 << 20
    strings_bytes: int = 16 << 20
    json_tokens: int = 300_000
    activation_values: int = 1 << 26
    depth: int = 32
    archive_bytes: int = 1 << 30
    archive_members: int = 1000

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if type(value) is not int or value < 1:
                raise InputError(f"limit {limit.name} must be an integer of at least 1, got {value!r}")


DEFAULT_LIMITS = Limits()
"""What is read unless the caller says otherwise."""

_NO_LIMITS = Limits(**{limit.name: 1 << 62 for limit in fields(Limits)})


def limits_of(limits: Limits | None) -> Limits:
    """Return `limits`, or for None limits that nothing reaches."""
    return _NO_LIMITS if limits is None else limits
