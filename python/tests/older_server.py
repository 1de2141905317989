"""A DDSP WebSocket server of the older kind: three processors for each connection, and 20 ms of sound every 20 ms.

Written from a description of the older project's server.py, not from its source. It shares the protocol and the use
of `ddsp_python`: `process(f0, loudness)` of up to three voices, mixed by averaging, as 16-bit samples. Texts set what
sounds from the next frame on: {"f0s": [440.0, 550.0], "loudness": 0.7}, {"f0": 440.0}, {"type": "gain", "value": 0.5}
(the loudness). A4 sounds until the first message. {"midi": [[144, 69, 100]]} is not of that server; it plays the first
voice by `process_midi`.
"""

from __future__ import annotations

import array
import asyncio
import json
import math
import os
from typing import Any

import ddsp_python
import websockets

SAMPLE_RATE = 48000
FRAME_MS = 20
HOST = "0.0.0.0"
PORT = 8765
MODEL_PATH = os.environ.get("DDSP_MODEL_PATH", "models/Violin.tflite")

VOICES = 3
FRAME_SAMPLES = SAMPLE_RATE * FRAME_MS // 1000


def numbers(values: Any) -> list[float]:
    """Returns the finite numbers of a list, whatever else is in it."""
    found = []
    for value in values or []:
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            found.append(number)
    return found


class Connection:
    """Controls and voices of one client."""

    def __init__(self) -> None:
        self.voices = [
            ddsp_python.DDSPProcessor(MODEL_PATH, float(SAMPLE_RATE), FRAME_SAMPLES) for _ in range(VOICES)
        ]
        self.f0s = [440.0]
        self.loudness = 0.5
        self.plays_midi = False
        self.events: list[Any] = []

    def obey(self, text: str) -> None:
        """Applies a message; an invalid one is reported and ignored."""
        try:
            message = json.loads(text)
            if message.get("type") == "gain":
                self.loudness = float(message["value"])
            if "f0s" in message:
                self.f0s = [hz for hz in numbers(message["f0s"]) if hz > 0.0][:VOICES]
            elif "f0" in message:
                self.f0s = [hz for hz in numbers([message["f0"]]) if hz > 0.0]
            if "loudness" in message:
                self.loudness = float(message["loudness"])
            if "midi" in message:
                self.events += message["midi"]
            self.plays_midi = "midi" in message or (self.plays_midi and not {"f0", "f0s"} & message.keys())
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            print(f"Error processing message: {error}", flush=True)

    def frame(self) -> bytes:
        """Returns the next frame: the average of the voices, 16-bit little-endian."""
        if self.plays_midi:
            events, self.events = self.events, []
            return self.voices[0].process_midi(events)
        played = [voice.process(hz, self.loudness) for voice, hz in zip(self.voices, self.f0s)]
        if len(played) < 2:
            return played[0] if played else bytes(2 * FRAME_SAMPLES)
        sounds = [array.array("h", frame) for frame in played]
        return array.array("h", [int(sum(samples) / len(sounds)) for samples in zip(*sounds)]).tobytes()

    async def push(self, websocket: Any) -> None:
        """Sends frames on a monotonic clock."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await websocket.send(self.frame())
            due += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))


async def handle(websocket: Any) -> None:
    """Serves one client."""
    try:
        connection = Connection()
    except RuntimeError as error:
        print(f"Error: {error}", flush=True)
        await websocket.close(1011, str(error)[:120])
        return
    pushing = asyncio.ensure_future(connection.push(websocket))
    try:
        async for message in websocket:
            if isinstance(message, str):
                connection.obey(message)
    except websockets.ConnectionClosed:
        pass
    finally:
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)


async def main() -> None:
    """Serves until the program is stopped."""
    print(f"Starting DDSP WebSocket Server on ws://localhost:{PORT}", flush=True)
    async with websockets.serve(handle, HOST, PORT):
        print("Server ready. Waiting for connections...", flush=True)
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
