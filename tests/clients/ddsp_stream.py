"""A client of the DDSP stream that shares no line with the daemon: ddsp_stream.py PORT SECONDS

The first part is the example of the older server's README as it stands, but for the port. What follows measures.
"""

import array
import asyncio
import json
import math
import sys
import time

import websockets

PORT, SECONDS = int(sys.argv[1]), float(sys.argv[2])
URI = f"ws://localhost:{PORT}"


async def play_note():
    uri = URI
    async with websockets.connect(uri) as websocket:
        # Send control parameters
        message = {
            "f0s": [440.0],  # Single note (A4)
            "loudness": 0.8
        }
        await websocket.send(json.dumps(message))

        # Receive audio data (binary)
        audio_data = await websocket.recv()
        print(f"Received {len(audio_data)} bytes of audio")
        assert len(audio_data) == 1920


def samples(frame):
    return array.array("h", frame)


def strength(sound, hz, rate=48_000):
    """How much of a sound's power is near a frequency, by Goertzel's method."""
    w = 2 * math.pi * hz / rate
    c, s1, s2 = 2 * math.cos(w), 0.0, 0.0
    n = len(sound)
    for i, x in enumerate(sound):
        window = 0.5 - 0.5 * math.cos(2 * math.pi * i / n)
        s1, s2 = x * window + c * s1 - s2, s1
    return (s1 * s1 + s2 * s2 - c * s1 * s2) / n**2


async def collect(socket, count):
    """The next binary frames, and the texts between them."""
    frames, texts = [], []
    while len(frames) < count:
        message = await asyncio.wait_for(socket.recv(), 5)
        (texts if isinstance(message, str) else frames).append(message)
    return frames, [json.loads(t) for t in texts]


async def said(socket, message):
    """What is answered to a message, in text."""
    await socket.send(message if isinstance(message, str) else json.dumps(message))
    while True:
        answer = await asyncio.wait_for(socket.recv(), 5)
        if isinstance(answer, str):
            return json.loads(answer)


async def frames_come_on_time_beside_a_stalled_client():
    stalled = await websockets.connect(URI, max_queue=1, ping_interval=None)
    await stalled.send(json.dumps({"type": "hello"}))
    await stalled.send(json.dumps({"f0s": [330.0]}))
    async with websockets.connect(URI) as socket:
        await socket.send(json.dumps({"f0s": [440.0], "loudness": 0.7}))
        begun, count = time.monotonic(), 0
        while time.monotonic() - begun < SECONDS:
            message = await asyncio.wait_for(socket.recv(), 5)
            assert isinstance(message, bytes) and len(message) == 1920
            count += 1
        print(f"{count} frames in {SECONDS:g} s")
        assert abs(count - SECONDS * 50) <= 2, count
    # It reads again: whole frames are lost, and it is told how many.
    lost, kept, begun = 0, 0, time.monotonic()
    while lost == 0 and time.monotonic() - begun < 5:
        message = await asyncio.wait_for(stalled.recv(), 5)
        if isinstance(message, str):
            lost = json.loads(message).get("dropped", 0)
        else:
            assert len(message) == 1920
            kept += 1
    print(f"the stalled client: {kept} frames kept, {lost} lost and told")
    assert lost > 0
    await stalled.close()


async def pitches_are_in_the_sound():
    async with websockets.connect(URI) as socket:
        await socket.send(json.dumps({"f0s": [440.0], "loudness": 0.7}))
        await collect(socket, 25)
        sound = samples(b"".join((await collect(socket, 25))[0]))
        at, beside = strength(sound, 440.0), strength(sound, 466.2)
        print(f"440 Hz is {10 * math.log10(at / beside):.0f} dB over 466 Hz")
        assert at > 300 * beside
        # A chord, in another order, with a loudness each.
        await socket.send(json.dumps({"f0s": [659.26, 440.0], "loudness": [0.6, 0.8]}))
        await collect(socket, 25)
        sound = samples(b"".join((await collect(socket, 25))[0]))
        assert min(strength(sound, 440.0), strength(sound, 659.26)) > 30 * strength(sound, 523.25)
        await socket.send(json.dumps({"f0s": []}))
        await collect(socket, 10)
        assert not any(samples((await collect(socket, 1))[0][0])), "silence is exact"


async def more_is_there_for_who_asks():
    async with websockets.connect(URI, compression="deflate") as socket:
        assert not any("deflate" in str(e) for e in socket.protocol.extensions), "an offer of deflate is declined"
        hello = await said(socket, {"type": "hello"})
        assert hello["rate"] == 48_000 and hello["frame"] == 960 and "flute" in hello["instruments"], hello
        for message, field in (
            ("nonsense", ""), ('{"f0s": 440}', "f0s"), ('{"f0s": [440], "loudness": "x"}', "loudness"),
            ('{"pitch_shift": 1000}', "pitch_shift"), ('{"instrument": "kazoo"}', "instrument"), ("[" * 5000, ""),
        ):
            answer = await said(socket, message)
            assert answer["field"] == field, answer
            assert any(words in answer["error"] for words in ("expected", "must be")), answer
        answer = await said(socket, {"at": 100, "format": "f32"})
        assert answer["field"] == "at", answer
        note = await said(socket, {"f0s": [100.0 * k for k in range(1, 20)]})
        assert "8 voices" in note["note"], note
        await socket.send(json.dumps([{"instrument": "flute"}, {"f0s": [523.25], "loudness": 0.7}, {"at": 300, "f0s": []}]))
        await collect(socket, 4)
        frames, _ = await collect(socket, 30)
        loud = [max(map(abs, samples(f))) for f in frames]
        assert loud[2] > 100 and loud[-1] == 0, loud
        # Float frames of 10 ms at 44.1 kHz, one for each message, faster than they would play.
        await socket.send(json.dumps({"format": "f32", "frame_ms": 10, "rate": 44_100, "mode": "pull"}))
        while len(await asyncio.wait_for(socket.recv(), 5)) != 441 * 4:
            pass
        begun, count = time.monotonic(), 300
        for _ in range(count):
            await socket.send(json.dumps({"f0s": [440.0], "loudness": 0.8}))
            frame = await asyncio.wait_for(socket.recv(), 5)
            assert len(frame) == 441 * 4
        floats = array.array("f", frame)
        pulled = count / 100 / (time.monotonic() - begun)
        assert 0.001 < max(map(abs, floats)) < 1.0
        print(f"pulled: {pulled:.1f} times as fast as it plays")
        assert pulled > 2
        # A note goes on at another rate, and a reset is the end of it.
        await socket.send(json.dumps({"rate": 32_000, "mode": "push"}))
        while len(await asyncio.wait_for(socket.recv(), 5)) != 320 * 4:
            pass
        frames, _ = await collect(socket, 40)
        assert max(map(abs, array.array("f", frames[-1]))) > 0.001
        await socket.send(json.dumps({"type": "reset"}))
        frames, _ = await collect(socket, 40)
        assert not any(array.array("f", frames[-1]))


async def main():
    await play_note()
    await frames_come_on_time_beside_a_stalled_client()
    await pitches_are_in_the_sound()
    await more_is_there_for_who_asks()
    print("all of it")


asyncio.run(main())
