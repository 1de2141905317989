"""Clients of the older DDSP server, as far as they differ from its README: older_stream.py PORT

They take every message for sound, so a text would end them. What they send is what that server took.
"""
import array
import asyncio
import json
import math
import sys

import websockets

URI = f"ws://localhost:{int(sys.argv[1])}"


async def frames(socket, count):
    """The next frames; as in the older clients, anything but bytes is the end."""
    sound = array.array("h")
    for _ in range(count):
        message = await asyncio.wait_for(socket.recv(), 5)
        if not isinstance(message, bytes):
            raise TypeError(f"a client of the older server gets a text: {message}")
        assert len(message) == 1920
        sound.frombytes(message)
    return sound


def level(sound):
    power = sum(s * s for s in sound) / len(sound) / 32_768**2
    return -200.0 if power == 0 else 10 * math.log10(power)


async def settled(*messages):
    """The level of what sounds after some messages, once it is steady."""
    async with websockets.connect(URI) as socket:
        for message in messages:
            await socket.send(message if isinstance(message, str) else json.dumps(message))
        await frames(socket, 40)
        return level(await frames(socket, 30))


async def variants():
    half = await settled({"f0s": [440.0], "loudness": 0.5})
    loud = await settled({"f0s": [440.0], "loudness": 0.8})
    print(f"A4 at 0.5: {half:.1f} dBFS; at 0.8: {loud:.1f} dBFS")
    assert loud > half + 2
    for name, wanted, *messages in (
        ("nothing said", half),
        ("pitch alone", half, {"f0s": [440.0]}),
        ("gain after a list", half, {"f0s": [440.0], "loudness": 0.9}, {"type": "gain", "value": 0.5}),
        ("gain alone", loud, {"type": "gain", "value": 0.8}),
        ("gain out of range", await settled({"f0s": [440.0], "loudness": 1.0}), {"type": "gain", "value": 5}),
        ("loudness alone", loud, {"loudness": 0.8}),
        ("an unknown type", loud, {"type": "dance", "f0s": [440.0], "loudness": 0.8}),
        ("numbers as text", loud, {"f0s": ["440"], "loudness": "0.8"}),
        ("one number as text", loud, {"f0": "440", "loudness": "0.8"}),
        ("what is no number", loud, {"f0s": ["x", 440.0, None], "loudness": 0.8}),
        ("nonsense", loud, {"f0s": [440.0], "loudness": 0.8}, "nonsense", "{}", '{"f0s": 3}', '{"loudness": "x"}'),
    ):
        found = await settled(*messages)
        print(f"{name}: {found:.1f} dBFS, {wanted:.1f} expected")
        assert abs(found - wanted) < 1.0, name
    for silence in ({"f0s": None}, {"f0s": []}, {"f0s": [0, -1]}):
        assert await settled(silence) == -200.0, silence
    # More pitches than there are voices.
    assert await settled({"f0s": [100.0 * k for k in range(2, 20)], "loudness": 0.8}) > -60


async def one_that_stalls():
    """A client that does not read for a while loses frames; only one that has said hello gets a text about it."""
    for hello in (False, True):
        async with websockets.connect(URI, max_queue=1, ping_interval=None) as socket:
            if hello:
                await socket.send('{"type": "hello"}')
            await socket.send('{"f0s": [440.0]}')
            await asyncio.sleep(4)
            texts, count = [], 0
            while count < 200 and not any("dropped" in t for t in texts):
                message = await asyncio.wait_for(socket.recv(), 5)
                if isinstance(message, str):
                    texts.append(json.loads(message))
                else:
                    count += 1
            assert bool(texts) == hello, texts
            assert not hello or texts[-1]["dropped"] > 0, texts
            print(f"stalled, hello {hello}: {[list(t) for t in texts]}")


async def new_ones():
    """A client that says hello does not hear the first note, and gets texts about errors."""
    assert await settled({"f0s": []}) == -200.0
    async with websockets.connect(URI) as socket:
        await socket.send('{"type": "hello"}')
        sound, texts = array.array("h"), []
        while len(sound) < 960 * 30:
            message = await asyncio.wait_for(socket.recv(), 5)
            if isinstance(message, str):
                texts.append(json.loads(message))
            else:
                sound.frombytes(message)
        assert texts[0]["hello"] == "grooved" and not any(sound[960 * 10:]), texts
        for message, key in (('{"type": "dance"}', "note"), ("nonsense", "error"), ('{"f0s": 3}', "error")):
            await socket.send(message)
            while not isinstance(answer := await asyncio.wait_for(socket.recv(), 5), str):
                pass
            assert key in json.loads(answer), answer
        await socket.close()
        assert socket.close_code == 1000 and socket.protocol.close_rcvd is not None


asyncio.run(variants())
asyncio.run(one_that_stalls())
asyncio.run(new_ones())
print("all of it")
