"""Text files: read them as the text that they are, or say in one line why not; write all or nothing."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable
from pathlib import Path

from minillm.errors import UserError

_BOMS = (  # the longer ones first: UTF-32's begins like UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSES = ("utf-16-le", "utf-16-be", "gb18030")  # gb18030 also reads all of GBK and GB2312


def read_text(path: str | Path, encoding: str | None = None) -> str:
    r"""The text of a file: UTF-8 or the given encoding, without byte order mark, every line end as \n.

    UserError: no such file, a directory, not readable, empty, binary, in another encoding than said. For
    UTF-16 and GB18030 (GBK) the message names the encoding to give.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a directory; name a text file")
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; check the name and the folder") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UserError(f"{path} cannot be read: {_reason(error)}; name another file") from None
    text = _decode(path, data, encoding).removeprefix("\ufeff")
    if not text:
        raise UserError(f"{path} is empty; name a file with text in it")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8, all or nothing. UserError: the file cannot be written, or a lone surrogate is in the text."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{path} cannot be written: position {error.start} holds half a character; leave it out"
        ) from None
    write_bytes(path, data)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file, all or nothing, as write_parts."""
    write_parts(path, [data])


def write_parts(path: str | Path, parts: Iterable[bytes | memoryview]) -> None:
    """Write beside the file, flush to the disk, then rename: a reader sees the old file or the new, never a half.

    UserError: the file cannot be written (no permission, the disk is full); the old one is still there.
    """
    try:
        beside = Path(path).with_name(f"{Path(path).name}.{os.getpid()}.tmp")
        try:
            with open(beside, "wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())  # the rename must not reach the disk before the data does
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)  # there only if something failed
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written: {_reason(error)}; free space there or name another place") from None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _decode(path: str | Path, data: bytes, encoding: str | None) -> str:
    try:
        text = data.decode("utf-8" if encoding is None else encoding)
        if encoding is not None or "\0" not in text:
            return text
        bad_byte = None
    except UnicodeEncodeError:  # in the name of the encoding
        raise UserError(f"unknown text encoding {encoding!r}; try utf-8, gb18030 or utf-16") from None
    except UnicodeError as error:
        if encoding is not None:
            raise UserError(f"{path} is not {encoding} ({error!s:.80}); give another --encoding") from None
        bad_byte = error.start if isinstance(error, UnicodeDecodeError) else None
    except (LookupError, ValueError):
        raise UserError(f"unknown text encoding {encoding!r}; try utf-8, gb18030 or utf-16") from None
    raise UserError(f"{path} {_diagnosis(data, bad_byte)}")


def _diagnosis(data: bytes, bad_byte: int | None) -> str:
    """What bytes are that are not UTF-8 at bad_byte (or are, but with zero bytes), and what to do."""
    zeros = data.count(0)
    where = f"byte {bad_byte} (line {data.count(10, 0, bad_byte) + 1})"
    if bad_byte is not None and _mostly_utf8(data):
        return f"is damaged UTF-8 at {where}; save it again, or remove that byte"
    if (bad_byte is not None or 4 * zeros > len(data)) and (found := _guess(data)):
        name, sample = found
        return (
            f'looks like {name} text ("{sample}"), not UTF-8; if that reads well, '
            f'give --encoding {name} (in Python: encoding="{name}")'
        )
    if zeros:
        return f"looks binary (a zero byte at {data.index(0)}); name a text file"
    return f"is not UTF-8 at {where}; name a text file, or its encoding with --encoding"


def _mostly_utf8(data: bytes) -> bool:
    """Whether most characters beyond ASCII read well as UTF-8. In GBK text few do, and by accident."""
    text = data.decode("utf-8", "replace")
    return sum(char >= "\x80" for char in text) > 2 * text.count("\ufffd")


def _guess(data: bytes) -> tuple[str, str] | None:
    """The first encoding in which the bytes read as Chinese or ASCII text, and a sample of the Chinese."""
    marked = [name for mark, name in _BOMS if data.startswith(mark)]
    for name in marked or (_GUESSES if 0 in data else _GUESSES[::-1]):
        try:  # incremental: the file may end inside a character
            text = codecs.getincrementaldecoder(name)().decode(data)[:10_000].removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
        if text and sum(map(_is_common, text)) >= 0.9 * len(text):
            first = next((i for i, char in enumerate(text) if char > "~"), 0)  # ASCII would tell nothing
            return name, "".join(filter(str.isprintable, text[first : first + 12]))
    return None


def _is_common(char: str) -> bool:
    return (
        " " <= char <= "~"
        or char in "\t\r\n\f"
        or "\u2010" <= char <= "\u2026"  # dashes, quotation marks, dots
        or "\u3000" <= char <= "\u303f"  # Chinese punctuation
        or "\u4e00" <= char <= "\u9fff"  # Han
        or "\uff01" <= char <= "\uff5e"  # full-width forms
    )
