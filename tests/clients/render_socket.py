"""A client of the render socket that shares no line with the daemon: render_socket.py HTTP_PORT OWN_PORT FOLDER

FOLDER holds the genomes and renders of the older service (tests/data/genomes). Every genome is rendered over the socket
and compared with the older service's samples; then come errors, the additions, OSCQuery on the same path, and limits.
"""

import array
import asyncio
import gzip
import json
import sys
import time
from pathlib import Path

import websockets

HTTP, OWN, FOLDER = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
WELCOME = {"type": "welcome", "message": "Connected to Kromosynth Render Socket", "sampleRate": 48000}


def original(genome):
    samples = array.array("f")
    samples.frombytes(gzip.decompress((FOLDER / f"{genome}.raw.f32.gz").read_bytes()))
    return samples


def connect(path="/", port=HTTP):
    return websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=64 << 20)


async def hear(socket):
    return json.loads(await asyncio.wait_for(socket.recv(), 20))


async def render(socket, **request):
    """The samples of one render as the older client collects them, or the error."""
    await socket.send(json.dumps({"type": "render", **request}))
    samples, index, keys = array.array("f"), 0, ["type", "index", "data", "timestamp", "sampleRate"]
    while True:
        message = await hear(socket)
        if message["type"] == "error":
            return message["message"]
        if message["type"] == "complete":
            assert list(message) == ["type", "totalChunks", "totalSamples", "duration", "sampleRate"], message
            assert message["totalChunks"] == index and message["totalSamples"] == len(samples), message
            return samples
        index += 1
        assert list(message) == keys and message["index"] == index, (list(message), message["index"])
        samples.extend(message["data"])
        assert message["timestamp"] == len(samples) / 48000 and message["sampleRate"] == 48000


async def genomes():
    async with connect("/any/path") as socket:
        assert await hear(socket) == WELCOME
        for item in MANIFEST["items"]:
            wanted = item["params"]
            heard = await render(
                socket, genomeId=item["id"], duration=wanted["duration"], noteDelta=wanted["noteDelta"],
                velocity=wanted["velocity"], useGPU=True,
            )
            if "error" in item:
                assert isinstance(heard, str), item["id"]
                continue
            expected = original(item["id"])
            assert len(heard) == len(expected), (item["id"], heard if isinstance(heard, str) else len(heard))
            far = max(abs(a - b) for a, b in zip(heard, expected))
            assert far <= 1e-6, (item["id"], far)
    print(f"{len(MANIFEST['items'])} genomes as in the older service")


async def errors():
    async with connect() as socket:
        assert await hear(socket) == WELCOME
        assert await render(socket, genomeId="nobody", duration=1) == "Genome nobody not found"
        assert "duration" in await render(socket, genomeId="01KSFIX000")
        for text, answer in [('{"type":"dance"}', "Unknown message type: dance"), ("{", "not JSON"), ("[]", "Unknown message type: undefined")]:
            await socket.send(text)
            message = await hear(socket)
            assert message["type"] == "error" and answer in message["message"], message
        injected = "x' OR '1'='1"
        assert await render(socket, genomeId=injected, duration=1) == f"Genome {injected} not found"
        assert len(await render(socket, genomeId="01KSFIX000", duration=0.1)) == 4800
    print("errors leave the connection open")


async def additions():
    genome = json.loads(gzip.decompress((FOLDER / "01KSFIX001.json.gz").read_bytes()))
    sound = {"noteDelta": -10, "velocity": 0.75, "duration": 0.5}
    expected = original("01KSFIX001")
    async with connect("/", OWN) as socket:
        assert await hear(socket) == WELCOME
        assert await render(socket, genome=genome, **sound) == expected, "an inline genome"
        # Two renders at once, told apart by their ids.
        for request in ("a", {"b": 1}):
            await socket.send(json.dumps({"type": "render", "genomeId": "01KSFIX001", "requestId": request, **sound}))
        streams, open_streams = {"a": [], "b": []}, 2
        while open_streams:
            message = await hear(socket)
            stream = streams["a" if message["requestId"] == "a" else "b"]
            if message["type"] == "complete":
                open_streams -= 1
            else:
                stream.extend(message["data"])
        assert array.array("f", streams["a"]) == expected and array.array("f", streams["b"]) == expected
        # Batch: one binary frame, normalised.
        await socket.send(json.dumps({"type": "render", "genomeId": "01KSFIX001", "batch": True, **sound}))
        assert (await hear(socket))["type"] == "batch-result"
        whole = array.array("f")
        whole.frombytes(await socket.recv())
        assert len(whole) == len(expected) and abs(max(map(abs, whole)) - 1) < 1e-6
        assert (await hear(socket))["totalChunks"] == 1
        # Binary chunks.
        await socket.send(json.dumps({"type": "render", "genomeId": "01KSFIX001", "format": "f32", **sound}))
        binary = array.array("f")
        while True:
            message = await hear(socket)
            if message["type"] == "complete":
                break
            assert "data" not in message, message
            binary.frombytes(await socket.recv())
        assert binary == expected
        # A render that is at most half a second ahead of a client that plays.
        began = time.monotonic()
        paced = await render(socket, genomeId="01KSFIX000", duration=1.5, ahead=0.5)
        took = time.monotonic() - began
        assert len(paced) == 72000 and took > 0.8, took
    print("inline, requestId, batch, f32 and ahead")


async def oscquery():
    async with connect() as socket:
        assert (await hear(socket))["type"] == "welcome", "an OSCQuery client ignores this: it has no COMMAND"
        await socket.send(json.dumps({"COMMAND": "LISTEN", "DATA": "/groove/tempo"}))
        packet = await asyncio.wait_for(socket.recv(), 10)
        assert isinstance(packet, bytes) and packet.startswith(b"/groove/tempo\0"), packet
    print("OSCQuery on the same path")


async def limits():
    async with connect() as socket:
        await hear(socket)
        for number in range(5):
            await socket.send(json.dumps(
                {"type": "render", "genomeId": "01KSFIX000", "duration": 100, "ahead": 0.1, "requestId": number}))
        while True:
            message = await hear(socket)
            if message["type"] == "error":
                assert message["requestId"] == 4 and "genomes.renders" in message["message"], message
                break
    # One after the other on as many connections as renders are allowed: there is always room.
    async def row(connection):
        await hear(connection)
        for _ in range(20):
            heard = await render(connection, genomeId="01KSFIX000", duration=0.02)
            assert len(heard) == 960, heard

    await asyncio.sleep(0.2)
    async with connect() as a, connect() as b, connect("/", OWN) as c, connect("/x") as d:
        await asyncio.gather(*map(row, (a, b, c, d)))
    async with connect() as socket:
        await hear(socket)
        for number in range(4):
            await socket.send(json.dumps(
                {"type": "render", "genomeId": "01KSFIX000", "duration": 100, "ahead": 0.1, "requestId": number}))
        await hear(socket)
    # The client is gone: its renders stop at once and leave room.
    began = time.monotonic()
    async with connect() as socket:
        await hear(socket)
        while isinstance(await render(socket, genomeId="01KSFIX000", duration=0.01), str):
            assert time.monotonic() - began < 2, "the renders of a client that left go on"
            await asyncio.sleep(0.005)
    print(f"room again after {1000 * (time.monotonic() - began):.0f} ms")


async def main():
    for part in (genomes, errors, additions, oscquery, limits):
        await part()
    print("all of it")


asyncio.run(main())
