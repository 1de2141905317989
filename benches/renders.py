#!/usr/bin/env python3
"""Time to the first chunk of the render socket, for all genomes of tests/data/genomes: renders.py GROOVED [SECONDS]

Needs the package `websockets`. Each genome is requested once from a daemon that has just started (cold) and ten times
after that (cached); the time runs from sending the request to receiving the first chunk. This is repeated while the
daemon plays 20 stems from disk. Then whole renders on one processor and on all are timed, and their instructions
counted, if valgrind is installed.
"""

import asyncio
import json
import math
import os
import re
import shutil
import socket
import struct
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


def wav(path, seconds):
    """A stereo file of low noise, 16 bits at 48 kHz."""
    frames = int(seconds * 48_000)
    sound = b"".join(struct.pack("<hh", int(3000 * math.sin(k * k / 7e5)), k * 7919 % 997) for k in range(frames))
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(sound), b"WAVE", b"fmt ", 16, 1, 2, 48_000, 192_000, 4, 16,
                       b"data", len(sound))
    path.write_bytes(head + sound)


def control(port, *words):
    """Runs groovectl, and returns what it prints."""
    program = GROOVED.parent / "groovectl"
    return subprocess.run([program, "--port", str(port), *words], capture_output=True, text=True).stdout


def tell(title, figures):
    cold, cached, speed = figures
    print(f"render socket, {len(cold)} genomes of {SECONDS:g} s{title}: time to the first chunk in ms")
    print(f"  cold    p50 {share(cold.values(), 0.5):6.1f}  p95 {share(cold.values(), 0.95):6.1f}")
    times = [first for first, _ in cached]
    print(f"  cached  p50 {share(times, 0.5):6.1f}  p95 {share(times, 0.95):6.1f}")
    rates = [rate for rate, _ in speed]
    print(f"  whole renders: {share(rates, 0.5):.0f} x real time (p50), {share(rates, 0.05):.1f} (p5), over JSON")
    print("  slowest cached:", ", ".join(f"{g} {t:.0f}" for t, g in sorted(cached, reverse=True)[:3]))


def whole(folder, database, genomes, prefix, name):
    """Renders with the command line, on some processors."""
    render = [GROOVED, "genomes", "--database", database, "render"]
    rates = []
    for genome in genomes:
        out = subprocess.run([*prefix, *render, genome, Path(folder) / "x.wav", "--duration", str(SECONDS), "--raw"],
                             capture_output=True, text=True).stdout
        rates += [float(x) for x in re.findall(r"([0-9.]+) × real time", out)]
    line = f"  {name}: {share(rates, 0.5):.0f} x real time (p50), {share(rates, 0.05):.1f} (p5)"
    if shutil.which("valgrind"):
        counts = []
        for genome in genomes[::5]:
            ends = []
            for seconds in ("0.01", "1"):
                grind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
                said = subprocess.run([*prefix, *grind, *render, genome, Path(folder) / "x.wav", "--duration", seconds,
                                       "--raw"], capture_output=True, text=True).stderr
                ends += [int(n) for n in re.findall(r"Collected : (\d+)", said)]
            if len(ends) == 2:
                counts.append((ends[1] - ends[0]) / 1e6)
        line += f", {share(counts, 0.5):.0f} million instructions per second of sound (median of {len(counts)})"
    print(line)


def main():
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "genomes.sqlite"
        files = sorted(DATA.glob("*.json.gz"))
        subprocess.run([GROOVED, "genomes", "--database", database, "import", *files], check=True, stdout=subprocess.DEVNULL)
        stem = Path(folder) / "stem.wav"
        wav(stem, 30)
        genomes = [f.name.split(".")[0] for f in files]
        for stems in (0, 20):
            http, osc = free_port(), free_port()
            arguments = ["--output", "null", "--ddsp-listen", "off", "--port", str(osc), "--http-port", str(http)]
            environment = {**os.environ, "DB_PATH": str(database), "STATE_DIRECTORY": folder}
            daemon = subprocess.Popen([GROOVED, *arguments], env=environment, cwd=folder, stderr=subprocess.DEVNULL)
            try:
                time.sleep(2)
                for k in range(stems):
                    number = 100 + 1000 * (k % 4) + k
                    control(osc, "send", "/groove/stem/load", f"i:{number}", str(stem), f"stem {k}")
                    control(osc, "send", "/groove/stem/play", f"i:{number}", "1.0", "0.1", "1")
                figures = asyncio.run(measure(http, genomes))
                faults = control(osc, "get", "/status/faults").split() + ["?"] * 3
            finally:
                daemon.terminate()
                daemon.wait()
            tell(f", while {stems} stems play" if stems else "", figures)
            if stems:
                print(f"  the stems: {faults[1]} starved, {faults[2]} late")
        print("whole renders with the command line")
        good = [g for g in genomes if g in figures[0]]
        whole(folder, database, good, ["taskset", "-c", "0"], "one processor")
        whole(folder, database, good, ["taskset", "-c", "0,1"], "two processors")


main()
