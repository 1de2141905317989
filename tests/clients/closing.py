"""Ends WebSocket connections in every way, right and wrong, and looks how the server takes it: closing.py PORT PATH LIMIT

Speaks the protocol by hand, because a library would not break it. LIMIT is the longest message in bytes.
"""
import os
import socket
import struct
import sys

PORT, PATH, LIMIT = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def connect():
    connection = socket.create_connection(("127.0.0.1", PORT), timeout=10)
    connection.sendall(
        f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += connection.recv(1)
    assert b" 101 " in head, head
    return connection


def frame(opcode, payload, final=True, masked=True):
    length = len(payload)
    first = bytes([opcode | (0x80 if final else 0)])
    mask = 0x80 if masked else 0
    if length < 126:
        size = bytes([mask | length])
    elif length < 65_536:
        size = bytes([mask | 126]) + struct.pack(">H", length)
    else:
        size = bytes([mask | 127]) + struct.pack(">Q", length)
    if not masked:
        return first + size + payload
    key = os.urandom(4)
    keys = (key * (length // 4 + 1))[:length]
    return first + size + key + bytes(a ^ b for a, b in zip(payload, keys))


def exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        assert more, "the connection ended within a frame, or without a closing one"
        data += more
    return data


def receive(connection):
    first, second = exactly(connection, 2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack(">H", exactly(connection, 2))
    elif length == 127:
        (length,) = struct.unpack(">Q", exactly(connection, 8))
    return first & 0x0F, exactly(connection, length)


def closing_frame(connection):
    """The code and the reason, past whatever else comes; then the connection must end without a reset."""
    while True:
        opcode, payload = receive(connection)
        if opcode == 8:
            break
    code = struct.unpack(">H", payload[:2])[0] if payload else 1005
    return code, payload[2:].decode()


def ends(connection):
    while True:
        rest = connection.recv(65_536)
        if not rest:
            return


long_text = b'{"f0s": [440], "x": "' + b"x" * LIMIT + b'"}'
cases = [
    ("a clean close", [frame(8, struct.pack(">H", 1000) + b"bye")], 1000, "bye"),
    ("a page that is left", [frame(8, struct.pack(">H", 1001))], 1001, ""),
    ("a close without a code", [frame(8, b"")], 1005, ""),
    ("a frame that is not masked", [frame(1, b"{}", masked=False)], 1002, None),
    ("an unknown kind of frame", [frame(3, b"{}")], 1002, None),
    ("a reserved bit", [bytes([0xC1, 0x80, 0, 0, 0, 0])], 1002, None),
    ("a long ping", [frame(9, b"x" * 126)], 1002, None),
    ("a continuation of nothing", [frame(0, b"{}")], 1002, None),
    ("text that is not UTF-8", [frame(1, b'{"f0s": "\xe9"}')], 1007, None),
    ("a message that is too long", [frame(1, long_text)], 1009, None),
    ("pieces that are too long", [frame(1, long_text[:LIMIT // 2], final=False)] + [frame(0, b"x" * (LIMIT // 2), final=False)] * 2, 1009, None),
]
for name, frames, wanted, reason in cases:
    connection = connect()
    for data in frames:
        connection.sendall(data)
    code, said = closing_frame(connection)
    assert code == wanted, (name, code, said)
    assert reason is None or said == reason, (name, said)
    assert wanted < 1002 or wanted == 1005 or said, f"{name}: no reason is given"
    if wanted in (1002, 1007, 1009):
        connection.sendall(frame(8, struct.pack(">H", code)))
    ends(connection)
    print(f"{name}: {code} {said}")
print("all of it")
