"""Measures `ddsp_python`: its speed beside that of the daemon's own renders, two threads, and the cost of small blocks.

Usage: python.py PROGRAM [--instrument NAME] [--repeats N], where PROGRAM is the path of `grooved`

Speeds are seconds of sound per second. Everything is measured alternately, and the medians are printed, so that other
load on the machine affects all figures alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ddsp_python
import numpy as np

RATE = 48_000
BLOCK = 960
LENGTHS = (10, 70)
"""Seconds of the short and the long render of the program; the difference is free of its start."""
SECONDS = 10
"""Length of the renders in Python."""


def seconds_of(work: Callable[[], object]) -> float:
    """Returns the time that a call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def tone(instrument: str) -> ddsp_python.DDSPProcessor:
    """Returns a processor that plays a steady tone, past its attack."""
    processor = ddsp_python.DDSPProcessor(instrument, RATE, BLOCK)
    processor.set_f0(440.0)
    processor.set_loudness(0.8)
    processor.get_next_block(RATE)
    return processor


class Program:
    """The program's own renders of the same tone."""

    def __init__(self, program: str, instrument: str, folder: Path) -> None:
        self.program, self.instrument, self.folder = program, instrument, folder

    def render(self, seconds: int) -> float:
        """Returns the time of `grooved render-controls` for a tone of some seconds."""
        table = self.folder / f"{seconds}.csv"
        table.write_text(f"0,440,0.8\n{seconds},440,0.8\n")
        command = [self.program, "render-controls", table, self.folder / "out.wav", "--quiet"]
        command += ["--instrument", self.instrument, "--rate", str(RATE)]
        return seconds_of(lambda: subprocess.run(command, check=True))


def speeds(program: Program, instrument: str, repeats: int) -> None:
    """Prints how many times faster than real time each way of rendering is."""
    voices = [tone(instrument), tone(instrument)]
    blocks = range(SECONDS * RATE // BLOCK)

    def in_blocks(voice: ddsp_python.DDSPProcessor) -> None:
        for _ in blocks:
            voice.get_next_block(BLOCK)

    def in_arrays(voice: ddsp_python.DDSPProcessor) -> None:
        for _ in blocks:
            voice.get_next_array(BLOCK)

    def in_frames(voice: ddsp_python.DDSPProcessor) -> None:
        for _ in blocks:
            voice.process(440.0, 0.8)

    f0s = np.full(SECONDS * 100, 440.0)

    def whole(_: object = None) -> np.ndarray:
        return ddsp_python.render(f0s, 0.8, instrument=instrument)

    pool = ThreadPoolExecutor(2)

    def twice(work: Callable[[ddsp_python.DDSPProcessor], object]) -> float:
        return seconds_of(lambda: list(pool.map(work, voices))) / (2 * SECONDS)

    measured: dict[str, Callable[[], float]] = {
        f"get_next_block({BLOCK})": lambda: seconds_of(lambda: in_blocks(voices[0])) / SECONDS,
        f"get_next_array({BLOCK})": lambda: seconds_of(lambda: in_arrays(voices[0])) / SECONDS,
        f"process(f0, loudness), {BLOCK} samples": lambda: seconds_of(lambda: in_frames(voices[0])) / SECONDS,
        "render": lambda: seconds_of(whole) / SECONDS,
        f"get_next_block({BLOCK}), two threads": lambda: twice(in_blocks),
        "render, two threads": lambda: twice(whole),
    }
    times: dict[str, list[float]] = {name: [] for name in measured}
    own: dict[int, list[float]] = {seconds: [] for seconds in LENGTHS}
    for _ in range(repeats):
        for name, measure in measured.items():
            times[name].append(measure())
        for seconds, found in own.items():
            found.append(program.render(seconds))

    def row(name: str, typical: float, best: float) -> None:
        print(f"  {name:48} {1 / typical:8.0f} {1 / best:8.0f}")

    print(f"\n{'times real time, one voice':50} {'median':>8} {'best':>8}")
    short, long = (own[seconds] for seconds in LENGTHS)
    difference = [(of(long) - of(short)) / (LENGTHS[1] - LENGTHS[0]) for of in (statistics.median, min)]
    row("grooved render-controls, without its start", *difference)
    for name, found in times.items():
        row(name, statistics.median(found), min(found))
    for name in (f"get_next_block({BLOCK})", "render"):
        gain = statistics.median(one / two for one, two in zip(times[name], times[f"{name}, two threads"]))
        print(f"  {'two threads over one, ' + name:48} {gain:8.2f}")


def overhead(instrument: str, repeats: int) -> None:
    """Prints what it costs to take a sound in blocks of 960 samples instead of one block of 96,000."""
    count = 100
    sounding, silent = tone(instrument), ddsp_python.DDSPProcessor(instrument, RATE, BLOCK)

    def pair(voice: ddsp_python.DDSPProcessor) -> tuple[float, float]:
        def small() -> None:
            for _ in range(count):
                voice.get_next_block(BLOCK)

        return seconds_of(lambda: voice.get_next_block(count * BLOCK)), seconds_of(small)

    pairs = [(pair(sounding), pair(silent)) for _ in range(repeats)]
    whole = statistics.median(one for (one, _), _ in pairs) / count
    extra = statistics.median(many - one for (one, many), _ in pairs) / count
    rest = statistics.median(many - one for _, (one, many) in pairs) / count
    print(f"\n{f'a block of {BLOCK} samples':50} {'us':>8}")
    print(f"  {f'its share of one block of {count * BLOCK}':48} {1e6 * whole:8.2f}")
    print(f"  {'in addition, when taken alone':48} {1e6 * extra:8.2f} {100 * extra / whole:7.2f} %")
    print(f"  {'in addition, of a silent voice':48} {1e6 * rest:8.2f} {100 * rest / whole:7.2f} %")


def main() -> None:
    """Runs all measurements."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("program", help="path of grooved")
    arguments.add_argument("--instrument", default="violin", help="name of an instrument [default: violin]")
    arguments.add_argument("--repeats", type=int, default=15, help="repetitions of each measurement [default: 15]")
    given = arguments.parse_args()
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"ddsp_python {ddsp_python.__version__}, Python {platform.python_version()}, {machine}, {given.instrument}")
    with tempfile.TemporaryDirectory() as folder:
        speeds(Program(given.program, given.instrument, Path(folder)), given.instrument, given.repeats)
    overhead(given.instrument, 20 * given.repeats)


if __name__ == "__main__":
    main()
