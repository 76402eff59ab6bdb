"""Writing BGZF, the blocked gzip of .vcf.gz (SAM specification, section 4.1)."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

BLOCK = 0xFF00
"""Bytes of text in a block: compressed or not, it fits into the 65,536 that a block may have."""
RUN_BLOCKS = 4  # that are compressed at a time
_HEAD = struct.Struct("<4BI2BH2B2H")
_TAIL = struct.Struct("<2I")
END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that tells a whole file from one that was cut off."""


class BgzfFile:
    """A BGZF file to write, the same bytes by any number of threads; every failure is an OSError."""

    def __init__(self, path: str | Path, level: int, threads: int = 1):
        """level: of compression, 1 to 9. threads: that write and compress, the caller's among them."""
        self._level = level
        self._text = bytearray()
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._most_waiting = 2 * threads
        self._waiting: deque[Future[bytes]] = deque()
        self._file = open(path, "wb")  # noqa: SIM115  # closed by `close`

    def write(self, data: bytes) -> None:
        """Add text; it is in the file once this is closed."""
        self._text += data
        size = RUN_BLOCKS * BLOCK
        while len(self._text) >= size:
            self._pack(bytes(self._text[:size]))
            del self._text[:size]

    def _pack(self, text: bytes) -> None:
        if self._pool is None:
            self._file.write(packed(text, self._level))
            return
        self._waiting.append(self._pool.submit(packed, text, self._level))
        while len(self._waiting) > self._most_waiting or (self._waiting and self._waiting[0].done()):
            self._file.write(self._waiting.popleft().result())

    def close(self) -> None:
        """Write what is left, and the end."""
        try:
            self._pack(bytes(self._text))
            for piece in self._waiting:
                self._file.write(piece.result())
            self._file.write(END)
        finally:
            self._stop()

    def _stop(self) -> None:
        """Let go of the file and the threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._file.close()

    def __enter__(self) -> BgzfFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            with contextlib.suppress(OSError):  # the first failure is the one to tell
                self._stop()


def packed(text: bytes, level: int) -> bytes:
    """Text in blocks of its own."""
    return b"".join([_block(text[start : start + BLOCK], level) for start in range(0, len(text), BLOCK)])


def _block(text: bytes, level: int) -> bytes:
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(text) + deflate.flush()
    size = _HEAD.size + len(body) + _TAIL.size
    # The extra field of BGZF, "BC", holds the size of the block less one
    head = _HEAD.pack(31, 139, 8, 4, 0, 0, 255, 6, ord("B"), ord("C"), 2, size - 1)
    return head + body + _TAIL.pack(zlib.crc32(text), len(text))
