"""The examples of python/README.md, executed as printed."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy
from daemon import ROOT, Daemon
from snippets import Snippet, snippets

import grooved

PAGE = ROOT / "python" / "README.md"


def example(heading: str, index: int = 0) -> Snippet:
    """Returns a Python block under a heading."""
    return [s for s in snippets(PAGE.read_text()) if (s.heading, s.language) == (heading, "python")][index]


class Readme(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)

    def test_a_block_is_rendered(self) -> None:
        self.assertEqual(len(example("Instruments").execute()["block"]), 960)

    def test_the_notebook_shows_the_glide(self) -> None:
        scope = example("Instruments", 1).execute()
        self.assertTrue(Path("glide.png").read_bytes().startswith(b"\x89PNG"))
        self.assertGreater(Path("glide.png").stat().st_size, 20_000)
        sound = scope["sound"]
        self.assertEqual(sound.shape, (3 * 48_000,))
        for seconds in (0.5, 1.5, 2.5):
            piece = sound[int(seconds * 48_000) - 2_048 :][:4_096] * numpy.hanning(4_096)
            expected = 196.0 * 4.0 ** (seconds / 3.0)
            # The strongest partials are multiples of the pitch.
            peak = numpy.abs(numpy.fft.rfft(piece, 65_536)).argmax() * 48_000 / 65_536
            cents = 1_200 * numpy.log2(peak / expected / round(peak / expected))
            self.assertLess(abs(cents), 25.0, f"{seconds} s: {peak} Hz, expected a multiple of {expected}")

    def test_the_daemon_answers(self) -> None:
        example_of_daemon = example("Daemon")
        with contextlib.closing(Daemon()) as daemon:
            connect = grooved.connect

            async def shown(main: object) -> None:
                # It listens for ever.
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(main, 3.0)

            run = asyncio.run
            output = io.StringIO()
            with mock.patch("grooved.connect", lambda _: connect(daemon.url)), mock.patch(
                "asyncio.run", lambda main: run(shown(main))
            ), contextlib.redirect_stdout(output):
                example_of_daemon.execute()
            stream = grooved.stream
            with mock.patch("grooved.stream", lambda _, **options: stream(daemon.stream_url, **options)):
                frames = example("Daemon", 1).execute()["frames"]
        self.assertEqual(sum(map(len, frames)), 48_000)
        self.assertGreater(max(frames[-1]), 0.01)
        lines = output.getvalue().splitlines()
        self.assertIn("/groove/deck/d/level", lines[0])
        self.assertIn("tempo", lines[1])
        self.assertTrue(any("/beat" in line for line in lines[2:]), lines[:10])
        self.assertTrue(any("/meter/output" in line for line in lines[2:]), lines[:10])


if __name__ == "__main__":
    unittest.main()
