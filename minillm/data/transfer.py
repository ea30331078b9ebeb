"""One file over HTTP, in spite of bad lines: resumed where it was cut off, tried again with growing pauses.

What has come stands in a .part file, which outlives the process. Each try asks for the rest (RFC 9110, section 14:
Range). The server's word is never taken for what it sends: a length other than the known one is refused at once,
and the caller checks the SHA-256. So If-Range is not needed: a rest of another file fails that check.
"""

import random
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from minillm import __version__

TRIES = 4  # in a row, none of which has brought the file on
PAUSE = 0.5  # seconds before the second try; twice as long before each later one, give or take a half
LONGEST_PAUSE = 30.0  # also where a server asks for more (Retry-After)
TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 16
WORTH_A_RETRY = (408, 425, 429)  # and all of 5xx

_random = random.Random()  # only for pauses: two learners in one room shall not come again at the same moment


class TransferError(Exception):
    """This try has failed; `final` if another one would fail in the same way."""

    def __init__(self, reason: str, final: bool = False, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.final, self.pause = final, pause


def transfer(
    address: str,
    part: Path,
    size: int,
    check: Callable[[], bool],
    at: Callable[[int], None] = lambda position: None,
    again: Callable[[str, float], None] = lambda reason, pause: None,
) -> None:
    """Fetch `size` bytes into `part` until `check()` finds them right; `part` is removed where it finds them wrong.

    `at` is told how many bytes there are; `again` why the last try failed and how many seconds until the next.
    TransferError: the last of the tries in a row. OSError: `part` cannot be written.
    """
    furthest, failed = 0, 0
    while True:
        try:
            _receive(address, part, size, at)
            if check():
                return
            part.unlink()
            raise TransferError("what it sent is not the file (wrong SHA-256)")
        except TransferError as error:
            have = _length(part)
            failed = 1 if have > furthest else failed + 1
            furthest = max(furthest, have)
            if error.final or failed == TRIES:
                raise
            pause = max(error.pause, PAUSE * 2 ** (failed - 1) * _random.uniform(0.5, 1.5))
            again(str(error), pause)
            time.sleep(pause)


def _receive(address: str, part: Path, size: int, at: Callable[[int], None]) -> None:
    """One try: all of the file is in `part` afterwards, or TransferError."""
    have = _length(part)
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    with _open(address, have) as response:
        if response.status == 206:
            if response.headers.get("Content-Range", "").replace(" ", "") != f"bytes{have}-{size - 1}/{size}":
                part.unlink(missing_ok=True)
                raise TransferError("it sent another part than asked for")
        else:
            have = 0  # the server knows no ranges: the whole file comes
            length = response.headers.get("Content-Length", str(size))
            kind = response.headers.get_content_type()
            if response.status != 200 or length != str(size) or kind == "text/html":
                raise TransferError(f"it sent {length} bytes of {kind} where {size} are right, perhaps a log-in page")
        with open(part, "ab" if have else "wb") as file:
            while have < size:
                try:
                    chunk = response.read1(min(CHUNK, size - have))
                except (OSError, HTTPException) as error:
                    raise TransferError(_reason(error)) from None
                if not chunk:
                    raise TransferError(f"the connection ended after {have} of {size} bytes")
                file.write(chunk)
                file.flush()  # what has come is kept even if the process is killed
                have += len(chunk)
                at(have)


def _open(address: str, have: int) -> HTTPResponse:
    headers = {"User-Agent": f"minillm/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            final = error.code < 500 and error.code not in (*WORTH_A_RETRY, 416)
            asked = error.headers.get("Retry-After", "")
            pause = min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else 0.0
            reason = "its redirects lead nowhere" if error.code in (301, 302, 303, 307, 308) else f"HTTP {error.code}"
            raise TransferError(reason, final, pause) from None
    except (OSError, HTTPException, ValueError) as error:  # ValueError: an address that is none
        cause = getattr(error, "reason", error)
        final = isinstance(error, ValueError) or isinstance(cause, ssl.SSLCertVerificationError)
        raise TransferError(_reason(cause), final) from None


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _reason(error: object) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
