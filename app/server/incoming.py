"""The bytes of a request as they come in, and when they are all of it."""

import re
from collections import deque

LONGEST_HEAD = 64 * 1024

_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]{1,18})[ \t]*\r$", re.I | re.M)
_CODING = re.compile(rb"^transfer-encoding:[ \t]*(.*?)[ \t]*\r$", re.I | re.M)
_CONTINUE = re.compile(rb"^expect:[ \t]*100-continue[ \t]*\r$", re.I | re.M)
_FEW_CHUNKS, _SMALL_CHUNK = 1_000, 512


class Refused(Exception):
    """What comes in is not received any further; status and sentence are the answer."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Incoming:
    """One request. It only finds the end: whether it is a good request, the parser will tell.

    pieces, size: what was received, and how many bytes. whole: a request is here, or what the
    parser refuses at once, such as two lengths, or the head of one that is longer than
    `longest_body`. asks_to_continue: the client waits for that before it sends the body.
    """

    def __init__(self, longest_body: int) -> None:
        self.pieces: deque[bytes] = deque()
        self.size = 0
        self.whole = False
        self.asks_to_continue = False
        self._longest_body = longest_body
        self._head: bytearray | None = bytearray()
        self._until = 0
        self._chunks: _Chunks | None = None

    def feed(self, data: bytes) -> None:
        """Take what was received. Raises Refused."""
        self.pieces.append(data)
        self.size += len(data)
        if self._head is not None:
            data = self._read_head(self._head, data)
        if self._head is None:
            self.whole = self._chunks.feed(data) if self._chunks else self.size >= self._until

    def _read_head(self, head: bytearray, data: bytes) -> bytes:
        """What of the data belongs to the body."""
        searched = max(0, len(head) - 3)
        head += data
        end = head.find(b"\r\n\r\n", searched)
        if (len(head) if end < 0 else end) > LONGEST_HEAD:
            raise Refused(
                "431 Request Header Fields Too Large",
                f"the headers are larger than {LONGEST_HEAD // 1024} kB",
            )
        if end < 0:
            return b""
        body = bytes(head[end + 4 :])
        del head[end + 2 :]
        lengths, codings = _LENGTH.findall(head), _CODING.findall(head)
        if len(codings) == 1 and not lengths and codings[0].lower() == b"chunked":
            self._chunks = _Chunks(self._longest_body)
        elif len(lengths) == 1 and not codings and int(lengths[0]) <= self._longest_body:
            self._until = end + 4 + int(lengths[0])
        self.asks_to_continue = bool(_CONTINUE.search(head))
        self._head = None
        return body


class _Chunks:
    """Finds the end of a chunked body (RFC 9112, 7.1), keeping none of it."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._size = self._count = 0
        self._skip = 0  # bytes up to the next line
        self._line = bytearray()
        self._last = False

    def feed(self, data: bytes) -> bool:
        """Whether the body has ended, or is malformed. Raises Refused."""
        at = 0
        while at < len(data):
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            end = data.find(b"\n", at) + 1 or len(data)
            self._line += data[at:end]
            at = end
            if len(self._line) > LONGEST_HEAD:
                return True
            if self._line.endswith(b"\n"):
                line = bytes(self._line).strip()
                self._line.clear()
                if self._ends(line):
                    return True
        if self._size > self._longest:
            sentence = f"the request is larger than {self._longest / 1e6:g} MB"
            raise Refused("413 Content Too Large", sentence)
        return False

    def _ends(self, line: bytes) -> bool:
        if self._last:  # what follows are trailers, up to an empty line
            return not line
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return True
        if size < 0:
            return True
        self._size += size
        self._count += 1
        if self._count > _FEW_CHUNKS and self._size < self._count * _SMALL_CHUNK:
            raise Refused("400 Bad Request", "the body comes in too many small chunks")
        self._last = size == 0
        self._skip = 0 if self._last else size + 2
        return False
