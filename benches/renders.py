#!/usr/bin/env python3
"""Time to the first chunk of the render socket, for all genomes of tests/data/genomes: renders.py GROOVED [SECONDS]

Needs the package `websockets`. Each genome is requested once from a daemon that has just started (cold) and ten times
after that (cached); the time runs from sending the request to receiving the first chunk.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import websockets

GROOVED = Path(sys.argv[1]).resolve()
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
DATA = Path(__file__).resolve().parent.parent / "tests/data/genomes"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


async def first_chunk(connection, genome):
    began = time.perf_counter()
    await connection.send(json.dumps({"type": "render", "genomeId": genome, "duration": SECONDS, "noteDelta": 0}))
    message = json.loads(await connection.recv())
    first = time.perf_counter() - began
    if message["type"] == "error":
        return None, None
    while json.loads(await connection.recv())["type"] != "complete":
        pass
    return 1000 * first, SECONDS / (time.perf_counter() - began)


async def measure(port, genomes):
    cold, cached, speed = {}, [], []
    async with websockets.connect(f"ws://127.0.0.1:{port}/", max_size=None) as connection:
        await connection.recv()
        for genome in genomes:
            first, _ = await first_chunk(connection, genome)
            if first is not None:
                cold[genome] = first
        for _ in range(10):
            for genome in cold:
                first, times = await first_chunk(connection, genome)
                cached.append((first, genome))
                speed.append((times, genome))
    return cold, cached, speed


def share(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


def main():
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "genomes.sqlite"
        files = sorted(DATA.glob("*.json.gz"))
        subprocess.run([GROOVED, "genomes", "--database", database, "import", *files], check=True, stdout=subprocess.DEVNULL)
        http, osc = free_port(), free_port()
        arguments = ["--output", "null", "--ddsp-listen", "off", "--port", str(osc), "--http-port", str(http)]
        environment = {**os.environ, "DB_PATH": str(database), "STATE_DIRECTORY": folder}
        daemon = subprocess.Popen([GROOVED, *arguments], env=environment, cwd=folder, stderr=subprocess.DEVNULL)
        try:
            time.sleep(2)
            cold, cached, speed = asyncio.run(measure(http, [f.name.split(".")[0] for f in files]))
        finally:
            daemon.terminate()
            daemon.wait()
    print(f"render socket, {len(cold)} genomes of {SECONDS:g} s: time to the first chunk in ms")
    print(f"  cold    p50 {share(cold.values(), 0.5):6.1f}  p95 {share(cold.values(), 0.95):6.1f}")
    times = [first for first, _ in cached]
    print(f"  cached  p50 {share(times, 0.5):6.1f}  p95 {share(times, 0.95):6.1f}")
    rates = [rate for rate, _ in speed]
    print(f"  whole renders: {share(rates, 0.5):.0f} x real time (p50), {share(rates, 0.05):.1f} (p5), over JSON")
    print("  slowest cached:", ", ".join(f"{g} {t:.0f}" for t, g in sorted(cached, reverse=True)[:3]))


main()
