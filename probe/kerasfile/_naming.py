"""The name of the file in front of every error, and the last net under what no check foresaw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from probe._checks import InputError, ModelFileError
from probe.kerasfile._printable import printable
from probe.safeh5 import File

__all__ = ["last_net", "naming", "naming_file"]


@contextmanager
def naming_file(file: File) -> Iterator[None]:
    """Put the name of the file in front of errors that do not know it."""
    with naming(file.shown_path, file.error):
        yield


@contextmanager
def naming(shown_path: str, error: type[Exception] = ModelFileError) -> Iterator[None]:
    """Put `shown_path` in front of errors that do not know it; see also `last_net`."""
    with last_net(shown_path, error):
        try:
            yield
        except InputError as failure:
            if str(failure).startswith(shown_path):
                raise
            # Errors of a file have cut what it says; those of layers and networks have not.
            most = 1000 if isinstance(failure, ModelFileError) else 300
            raise error(f"{shown_path}: {printable(failure, most)}") from None


@contextmanager
def last_net(shown_path: str, error: type[Exception] = ModelFileError) -> Iterator[None]:
    """Make errors of the file of all exceptions that no check foresaw: no content of a file ends in a traceback."""
    try:
        yield
    except (InputError, Warning):
        raise
    except MemoryError:
        raise error(f"{shown_path} holds a model that takes more memory than there is") from None
    except Exception as failure:
        problem = f"{type(failure).__name__}: {printable(failure, 120)}"
        raise error(f"{shown_path} cannot be read ({problem})") from failure
