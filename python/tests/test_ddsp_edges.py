"""Where Python, the system and the module meet: memory layouts, exceptions, forks, replaced files, missing packages."""

from __future__ import annotations

import array
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import warnings
import weakref
from pathlib import Path
from unittest import mock

import numpy as np
from test_ddsp_support import MODELS

from ddsp_python import DDSPProcessor, Instrument, render, render_midi

# One beat of middle C.
SONG = b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\x0c\0\x90\x3c\x64\x60\x80\x3c\0\0\xff\x2f\0"


class Layouts(unittest.TestCase):
    def test_columns_of_records_are_read_as_they_are(self) -> None:
        track = np.zeros(100, dtype=[("frame", "i4"), ("f0", "f8"), ("loudness", "f8")])
        track["f0"] = np.linspace(300, 500, 100)
        track["loudness"] = np.linspace(0.2, 0.9, 100)
        expected = render(track["f0"].copy(), track["loudness"].copy())
        np.testing.assert_array_equal(render(track["f0"], track["loudness"]), expected)
        misaligned = np.frombuffer(b"\0" + track["f0"].tobytes(), dtype="f8", offset=1)
        np.testing.assert_array_equal(render(misaligned, track["loudness"]), expected)

    def test_reversed_and_strided_curves(self) -> None:
        f0s = np.linspace(300, 500, 200)
        np.testing.assert_array_equal(render(f0s[::-2], 0.7), render(f0s[::-2].copy(), 0.7))

    def test_more_dimensions_than_an_array_may_have(self) -> None:
        for dimensions in (3, 32):
            with self.assertRaisesRegex(ValueError, f"f0s has {dimensions} dimensions; expected at most two"):
                render(np.zeros((1,) * dimensions), 0.5)


class Exceptions(unittest.TestCase):
    def test_what_the_argument_raises_is_not_reworded(self) -> None:
        class Source:
            def __init__(self, error: BaseException) -> None:
                self.error = error

            def __array__(self, *_: object, **__: object) -> np.ndarray:
                raise self.error

        for error in (KeyboardInterrupt(), KeyError("boom"), MemoryError()):
            with self.assertRaises(type(error)) as caught:
                render(Source(error), 0.5)
            self.assertIs(caught.exception, error)
        with self.assertRaisesRegex(ValueError, "^f0s: no data; expected numbers") as caught:
            render(Source(ValueError("no data")), 0.5)
        self.assertIsInstance(caught.exception.__cause__, ValueError)

    def test_a_missing_midi_file_is_named(self) -> None:
        with self.assertRaises(FileNotFoundError) as caught:
            render_midi("/nowhere/song.mid")
        self.assertEqual(caught.exception.filename, "/nowhere/song.mid")

    def test_numbers_out_of_range_are_named_with_their_value(self) -> None:
        for arguments, expected in [
            (("violin", -48_000), "sample_rate is -48000; expected 8000 to 192000 Hz"),
            (("violin", 48_000, -1), "block_size is -1; expected 1 to 65536 frames"),
        ]:
            with self.assertRaisesRegex(ValueError, expected):
                DDSPProcessor(*arguments)

    def test_the_environment_is_blamed_for_its_own_path(self) -> None:
        with mock.patch.dict(os.environ, DDSP_MODEL_PATH="/nowhere/x.onnx"):
            with self.assertRaisesRegex(RuntimeError, "Failed to load model: /nowhere/x.onnx: .* .from DDSP_MODEL_PATH"):
                DDSPProcessor()


class Objects(unittest.TestCase):
    def test_bytes_are_paths_and_midi_files(self) -> None:
        path = os.fsencode(MODELS / "flute.onnx")
        self.assertEqual(Instrument(path).name, "flute")
        np.testing.assert_array_equal(render_midi(bytearray(SONG)), render_midi(SONG))

    def test_weak_references(self) -> None:
        processor = DDSPProcessor()
        reference = weakref.ref(processor)
        self.assertIs(reference(), processor)
        del processor
        self.assertIsNone(reference())

    def test_a_subclass_has_parameters_of_its_own(self) -> None:
        class Player(DDSPProcessor):
            def __init__(self, name: str, *, gain: float) -> None:
                super().__init__(name, 48_000.0, 480)
                self.set_harmonic_gain(gain)

        self.assertEqual(len(Player("flute", gain=2.0).process(440.0, 0.5)), 960)

        class Forgetful(DDSPProcessor):
            def __init__(self) -> None:
                pass

        with self.assertRaisesRegex(TypeError, "__init__"):
            Forgetful().get_next_block(1)


class Models(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_a_file_of_the_same_size_and_time_replaces_another(self) -> None:
        path, other = self.folder / "x.onnx", self.folder / "y.onnx"
        shutil.copyfile(MODELS / "clarinet.onnx", path)
        shutil.copyfile(MODELS / "saxophone.onnx", other)
        for file in (path, other):
            os.utime(file, (1_000_000_000, 1_000_000_000))
        self.assertEqual(path.stat().st_size, other.stat().st_size)
        self.assertEqual(Instrument(path).name, "clarinet")
        os.replace(other, path)
        self.assertEqual(Instrument(path).name, "saxophone")

    def test_a_replacement_is_announced_until_it_was_heard(self) -> None:
        path = self.folder / "Oboe.tflite"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(2):
                with self.assertRaisesRegex(UserWarning, "the instrument 'oboe' is played"):
                    DDSPProcessor(path)
        shutil.copyfile(MODELS / "flute.onnx", path.with_suffix(".onnx"))
        for expected in [1, 0]:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                DDSPProcessor(path)
            self.assertEqual(len(caught), expected)
        path.with_suffix(".onnx").write_bytes(b"nothing")
        with self.assertRaisesRegex(RuntimeError, r"^Failed to load model: .*Oboe\.tflite: .*Oboe\.onnx: not an ONNX model"):
            DDSPProcessor(path)

    @unittest.skipUnless(hasattr(os, "fork"), "no fork")
    def test_a_fork_while_a_model_is_read(self) -> None:
        paths = [self.folder / f"{number}.onnx" for number in range(200)]
        for path in paths:
            shutil.copyfile(MODELS / "violin.onnx", path)
        stop = threading.Event()

        def read() -> None:
            for path in paths:
                if stop.is_set():
                    return
                DDSPProcessor(path)

        reader = threading.Thread(target=read)
        reader.start()
        children = []
        for _ in range(10):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                child = os.fork()
            if child == 0:
                DDSPProcessor("cello").get_next_block(10)
                os._exit(0)
            children.append(child)
        try:
            for child in children:
                # A child that waits for a lock which nobody holds would never end.
                killer = threading.Timer(60.0, os.kill, (child, 9))
                killer.start()
                self.assertEqual(os.waitpid(child, 0)[1], 0)
                killer.cancel()
        finally:
            stop.set()
            reader.join()


class WithoutNumpy(unittest.TestCase):
    def test_what_needs_it_says_so_at_once(self) -> None:
        program = """
import sys
sys.modules["numpy"] = None
import ddsp_python
voice = ddsp_python.DDSPProcessor("flute")
voice.set_loudness(0.8)
for needs_it in [lambda: voice.get_next_array(9600), lambda: ddsp_python.render([440.0], 0.5), lambda: ddsp_python.render_midi("/x")]:
    try:
        needs_it()
        raise SystemExit("no error")
    except ImportError:
        pass
sys.stdout.buffer.write(voice.get_next_block(9600).tobytes())
"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        voice = DDSPProcessor("flute")
        voice.set_loudness(0.8)
        self.assertEqual(array.array("f", done.stdout), voice.get_next_block(9_600), "no sample is lost")


if __name__ == "__main__":
    unittest.main()
