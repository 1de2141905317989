"""`ddsp_python` with several threads, signals, and many processors."""

from __future__ import annotations

import gc
import os
import pathlib
import signal
import sys
import threading
import time
import unittest
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from ddsp_python import DDSPProcessor, render, render_midi

from test_ddsp_support import INSTRUMENTS, midi_file

SECONDS = 120
"""Length of a render that takes long enough to be observed."""


def long_render() -> np.ndarray:
    """Returns two minutes of a cello."""
    return render(np.full(100 * SECONDS, 220.0), 0.8, instrument="cello")


def long_song() -> np.ndarray:
    """Returns two minutes of a chord."""
    keys = (48, 55, 64)
    song = [(0, [0x90, key, 100]) for key in keys] + [(960 * SECONDS, [0xB0, 123, 0])]
    return render_midi(midi_file([song]), instrument="cello")


def long_block() -> Any:
    """Returns two minutes of a cello, as one block."""
    processor = DDSPProcessor("cello")
    processor.set_f0(220.0)
    processor.set_loudness(0.8)
    return processor.get_next_block(48_000 * SECONDS)


class Threads(unittest.TestCase):
    """Renders in several threads."""

    def test_two_threads_that_render_at_once_give_the_samples_of_one(self) -> None:
        def sound(name: str) -> bytes:
            processor = DDSPProcessor(name)
            processor.set_loudness(0.8)
            blocks = []
            for k in range(100):
                processor.set_f0(300.0 + 2.0 * k)
                blocks.append(processor.get_next_block(960).tobytes())
            return b"".join(blocks) + render(np.full(200, 330.0), 0.7, instrument=name).tobytes()

        alone = [sound(name) for name in INSTRUMENTS]
        with ThreadPoolExecutor(4) as pool:
            for _ in range(3):
                self.assertEqual(list(pool.map(sound, INSTRUMENTS)), alone)

    def test_others_run_while_one_renders(self) -> None:
        for work in (long_render, long_song, long_block):
            with self.subTest(work.__name__):
                self.assert_others_run(work)

    def assert_others_run(self, work: Callable[[], Any]) -> None:
        """Asserts that another thread runs throughout the work, in each quarter of its time."""
        work()
        stamps: list[float] = []
        stop = threading.Event()

        def count() -> None:
            while not stop.is_set():
                stamps.append(time.perf_counter())
                time.sleep(0.0005)

        counter = threading.Thread(target=count)
        counter.start()
        begin = time.perf_counter()
        work()
        end = time.perf_counter()
        stop.set()
        counter.join()
        self.assertGreater(end - begin, 0.1, "too fast to tell; SECONDS should be larger")
        quarters, _ = np.histogram(stamps, bins=4, range=(begin, end))
        self.assertTrue(np.all(quarters > 0), f"{quarters} in {end - begin:.2f} s")

    def test_a_processor_can_be_shared(self) -> None:
        processor = DDSPProcessor("clarinet")
        processor.set_f0(330.0)
        processor.set_loudness(0.8)
        counts = [[1, 100, 960, 3000], [480] * 30, [4096, 7]]
        lengths = [0] * len(counts)
        failures: list[BaseException] = []
        stop = threading.Event()

        def take(number: int) -> None:
            try:
                for _ in range(20):
                    for count in counts[number]:
                        lengths[number] += len(processor.get_next_block(count))
                        processor.process(330.0, 0.8)
            except BaseException as error:
                failures.append(error)

        def turn() -> None:
            try:
                while not stop.is_set():
                    processor.set_pitch_shift(float(np.random.uniform(-2.0, 2.0)))
                    processor.set_noise_gain(1.0)
                    processor.process_midi([[0x90, 60, 100]])
                    processor.reset()
            except BaseException as error:
                failures.append(error)

        takers = [threading.Thread(target=take, args=(k,)) for k in range(len(counts))]
        turner = threading.Thread(target=turn)
        for thread in [*takers, turner]:
            thread.start()
        for thread in takers:
            thread.join(60)
        stop.set()
        turner.join(60)
        self.assertEqual(failures, [])
        self.assertFalse(any(thread.is_alive() for thread in [*takers, turner]), "a thread hangs")
        self.assertEqual(lengths, [20 * sum(c) for c in counts])
        self.assertTrue(all(np.isfinite(processor.get_next_block(48_000))))

    def test_samples_are_handed_out_once(self) -> None:
        # Whichever thread takes a block, all blocks together are the sound of one.
        processor, alone = DDSPProcessor("oboe"), DDSPProcessor("oboe")
        for voice in (processor, alone):
            voice.set_f0(523.25)
            voice.set_loudness(0.9)
        expected = [alone.get_next_block(480).tobytes() for _ in range(200)]
        self.assertEqual(len(set(expected)), 200)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: processor.get_next_block(480).tobytes(), range(200)))
        self.assertEqual(sorted(found), sorted(expected))

    def test_setters_wait_while_another_thread_renders_without_holding_up_a_third(self) -> None:
        processor = DDSPProcessor("cello")
        processor.set_f0(110.0)
        processor.set_loudness(0.8)
        renders = threading.Thread(target=lambda: processor.get_next_block(48_000 * SECONDS))
        renders.start()
        turned = threading.Event()

        def turn() -> None:
            for _ in range(5):
                processor.set_loudness(0.5)
            turned.set()

        turns = threading.Thread(target=turn)
        turns.start()
        steps = 0
        while renders.is_alive() and steps < 10_000:
            steps += 1
            time.sleep(0.0005)
        renders.join()
        self.assertTrue(turned.wait(10))
        self.assertGreater(steps, 20)


@unittest.skipUnless(hasattr(signal, "setitimer"), "needs signals of POSIX")
class Interrupts(unittest.TestCase):
    """Ctrl-C during a long render."""

    def setUp(self) -> None:
        # In the background of a shell, Python is started with Ctrl-C ignored.
        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, signal.default_int_handler))

    def test_it_ends_a_long_render(self) -> None:
        hops = 100 * 600
        f0s = np.full(hops, 220.0)
        processor = DDSPProcessor("cello")
        processor.set_loudness(0.8)
        song = midi_file([[(0, [0x90, 60, 100]), (960 * 600, [0x80, 60, 0])]])
        for name, work in {
            "render": lambda: render(f0s, 0.8, instrument="cello"),
            "several voices": lambda: render(np.tile(f0s[:20_000], (4, 1)), 0.8, instrument="cello"),
            "breakpoints": lambda: render([220.0, 440.0], 0.8, times=[0.0, 600.0]),
            "render_midi": lambda: render_midi(song),
            "get_next_block": lambda: processor.get_next_block(480 * hops),
            "get_next_array": lambda: processor.get_next_array(480 * hops),
        }.items():
            with self.subTest(name):
                sender = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
                begin = time.process_time()
                with self.assertRaises(KeyboardInterrupt):
                    sender.start()
                    work()
                    sender.join()
                    time.sleep(1.0)
                # The signal comes after 0.3 s; a render of this length takes more than a second of processor time.
                self.assertLess(time.process_time() - begin, 1.0)
        self.assertEqual(len(processor.get_next_block(960)), 960)


def resident() -> int:
    """Returns the memory of this process that is resident, in bytes."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@unittest.skipUnless(sys.platform == "linux", "needs /proc")
class Memory(unittest.TestCase):
    """Many processors and renders, made and dropped."""

    def grows(self, work: Callable[[int], Any], first: int, last: int) -> float:
        """Returns by how many MB the process grows between two numbers of repetitions."""
        before = 0
        for number in range(1, last + 1):
            work(number)
            if number in (first, last):
                gc.collect()
                before, after = (resident(), 0) if number == first else (before, resident())
        return (after - before) / 1e6

    def test_processors(self) -> None:
        def work(number: int) -> None:
            processor = DDSPProcessor(INSTRUMENTS[number % 7])
            processor.set_loudness(0.8)
            processor.process(440.0, 0.8)

        self.assertLess(self.grows(work, 1_000, 10_000), 2.0)

    def test_blocks_and_renders(self) -> None:
        processor = DDSPProcessor()
        processor.set_loudness(0.8)
        f0s = np.full(5, 440.0)

        def work(_: int) -> None:
            processor.get_next_block(960)
            processor.get_next_array(960)
            processor.process_midi([[0x90, 60, 100]])
            render(f0s, 0.8)

        self.assertLess(self.grows(work, 300, 3_000), 2.0)

    def test_errors(self) -> None:
        def work(number: int) -> None:
            for arguments in (("/nowhere/model.onnx",), (f"/nowhere/{number}.tflite",), ("violin", 1.0), (5,)):
                with self.assertRaises((RuntimeError, TypeError, ValueError)):
                    DDSPProcessor(*arguments)

        self.assertLess(self.grows(work, 1_000, 10_000), 2.0)


if __name__ == "__main__":
    unittest.main()
