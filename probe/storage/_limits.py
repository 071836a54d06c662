"""How much is read of a file that may be broken or hostile."""

from __future__ import annotations

from dataclasses import dataclass, fields

from probe._checks import check_integer

__all__ = ["DEFAULT_LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is read of one file at most; more of anything is refused.

    The defaults admit every model that this machine could compute with, and keep the memory that a hostile
    file can claim to a few GiB. For a bigger model: `replace(DEFAULT_LIMITS, tensor_bytes=8 << 30, ...)`.

    Attributes
    ----------
    file_bytes : int
        Largest file that is opened. Opening one reads little of it, whatever its size.
    tensor_bytes : int
        Largest single array, or part of one, that is read.
    total_bytes : int
        Largest sum of all that is read from one file.
    chunk_bytes : int
        Largest chunk of a chunked array: HDF5 allocates whole chunks, however small the array is.
    chunks : int
        Most chunks that one array is read from: HDF5 takes about 300 bytes for each, however small it is.
    compression : int
        Largest ratio of an array's bytes to its bytes on disk, beyond the first MiB. Weights reach about
        1.1, sparse images about 20; bombs reach 1,000 with one deflate and 1,000,000 with two.
    rank : int
        Most axes of an array.
    text_bytes : int
        Longest text, such as a model's configuration; those of Keras have about 1 KB for each layer.
    json_tokens : int
        Most brackets, commas, colons and escapes in one JSON text; those of Keras have about 120 for each
        layer. Each can take some 80 bytes of memory.
    strings_bytes : int
        Bound on a list of strings: many of its entries can point at one big string.
    heap_block_bytes : int
        Largest block of the heap that holds strings of variable length.
    heap_records : int
        Most strings in one such block.
    depth : int
        Most components in the name of an object.
    activation_values : int
        Most values that one layer of a model puts out for one input, or needs in one array on the way.
    archive_bytes : int
        Largest weights of a .keras archive, which are read into memory whole.
    archive_members : int
        Most members of a .keras archive.

    Examples
    --------
    >>> from dataclasses import replace
    >>> replace(DEFAULT_LIMITS, tensor_bytes=1 << 20).tensor_bytes
    1048576
    """

    file_bytes: int = 64 << 30
    tensor_bytes: int = 512 << 20
    total_bytes: int = 2 << 30
    chunk_bytes: int = 64 << 20
    chunks: int = 1 << 18
    compression: int = 200
    rank: int = 8
    text_bytes: int = 4 << 20
    json_tokens: int = 300_000
    strings_bytes: int = 1 << 30
    heap_block_bytes: int = 64 << 20
    heap_records: int = 1_000_000
    depth: int = 32
    activation_values: int = 1 << 26
    archive_bytes: int = 1 << 30
    archive_members: int = 1000

    def __post_init__(self) -> None:
        for limit in fields(self):
            check_integer(f"limit {limit.name}", getattr(self, limit.name), minimum=1)


DEFAULT_LIMITS = Limits()
"""What is read unless the caller says otherwise."""
