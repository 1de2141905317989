"""`DDSPProcessor`: construction and errors, controls, blocks, sound, and 16-bit frames."""

from __future__ import annotations

import array
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings
from collections.abc import Callable
from typing import Any
from unittest import mock

import ddsp_python
import numpy as np
from ddsp_python import DDSPProcessor, Instrument

from test_ddsp_support import INSTRUMENTS, MODELS, cents, held, level, pitch, play

RATES = [8000, 22050, 44100, 48000, 96000]


def tone(processor: Any) -> bytes:
    """Returns a tenth of a second of A4 as bytes, which tell instruments and seeds apart."""
    processor.set_f0(440.0)
    processor.set_loudness(0.8)
    return processor.get_next_block(4800).tobytes()


class Folder(unittest.TestCase):
    """A test with a temporary folder, and without DDSP_MODEL_PATH."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        environment = mock.patch.dict(os.environ)
        environment.start()
        self.addCleanup(environment.stop)
        os.environ.pop("DDSP_MODEL_PATH", None)

    def file(self, name: str, content: bytes) -> str:
        """Writes a file and returns its path."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)


class Construction(Folder):
    """Ways to name an instrument, and the arguments."""

    def test_all_forms_give_the_same_voice(self) -> None:
        path = MODELS / "violin.onnx"
        expected = tone(DDSPProcessor("violin"))
        forms: dict[str, Callable[[], Any]] = {
            "positional": lambda: DDSPProcessor("violin", 48000.0, 960),
            "keywords": lambda: DDSPProcessor(model_path="violin", sample_rate=48000.0, block_size=960),
            "an int as rate": lambda: DDSPProcessor("violin", 48000, 960),
            "numbers of NumPy": lambda: DDSPProcessor("violin", np.float64(48000.0), np.int64(960)),
            "a path": lambda: DDSPProcessor(str(path)),
            "a PathLike": lambda: DDSPProcessor(path),
            "a name in capitals": lambda: DDSPProcessor("VIOLIN"),
            "an Instrument": lambda: DDSPProcessor(Instrument("violin")),
            "an Instrument from a file": lambda: DDSPProcessor(Instrument(path)),
            "no argument": lambda: DDSPProcessor(),
            "None": lambda: DDSPProcessor(None),
            "the default seed": lambda: DDSPProcessor("violin", seed=1),
        }
        for name, form in forms.items():
            with self.subTest(name):
                self.assertEqual(tone(form()), expected)

    def test_every_instrument_by_name_and_by_file(self) -> None:
        heard = {name: tone(DDSPProcessor(name)) for name in INSTRUMENTS}
        self.assertEqual(len(set(heard.values())), len(INSTRUMENTS))
        for name, sound in heard.items():
            self.assertEqual(tone(DDSPProcessor(MODELS / f"{name}.onnx")), sound, name)

    def test_the_environment_names_the_default(self) -> None:
        os.environ["DDSP_MODEL_PATH"] = str(MODELS / "flute.onnx")
        self.assertEqual(DDSPProcessor().instrument.name, "flute")
        self.assertEqual(DDSPProcessor("oboe").instrument.name, "oboe")
        os.environ["DDSP_MODEL_PATH"] = "cello"
        self.assertEqual(DDSPProcessor(None, 44100).instrument.name, "cello")
        os.environ["DDSP_MODEL_PATH"] = "/nowhere/model.onnx"
        with self.assertRaisesRegex(RuntimeError, "^Failed to load model: /nowhere/model.onnx: "):
            DDSPProcessor()
        del os.environ["DDSP_MODEL_PATH"]
        self.assertEqual(DDSPProcessor().instrument.name, "violin")

    def test_tflite_paths_find_the_namesake_and_say_so_once(self) -> None:
        path = str(self.folder / "models" / "Clarinet.tflite")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            first, second = DDSPProcessor(path), DDSPProcessor(path, 44100.0, 441)
        self.assertEqual([first.instrument.name, second.instrument.name], ["clarinet", "clarinet"])
        self.assertEqual([warning.category for warning in said], [UserWarning])
        self.assertIn(path, str(said[0].message))
        self.assertIn("clarinet", str(said[0].message))
        self.assertEqual(said[0].filename, __file__, "the warning names the caller")
        with self.assertWarns(UserWarning):
            DDSPProcessor(self.file("oboe.tflite", b"\x1c\0\0\0TFL3" + bytes(500)))

    def test_a_tflite_path_prefers_the_converted_file_beside_it(self) -> None:
        path = self.file("Violin.tflite", b"\x1c\0\0\0TFL3" + bytes(500))
        self.file("Violin.onnx", (MODELS / "flute.onnx").read_bytes())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.assertEqual(DDSPProcessor(path).instrument.name, "flute")
            self.file("Violin.onnx", b"broken")
            with self.assertRaisesRegex(RuntimeError, "^Failed to load model: "):
                DDSPProcessor(path)

    def test_warnings_as_errors_are_raised(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with self.assertRaises(UserWarning):
                DDSPProcessor(self.folder / "Flute.tflite")

    def test_attributes_tell_and_can_not_be_set(self) -> None:
        for rate in RATES:
            processor = DDSPProcessor("flute", float(rate), 441)
            self.assertEqual((processor.sample_rate, processor.block_size), (rate, 441))
            self.assertIs(type(processor.sample_rate), int)
            # Half a sample is rounded up.
            self.assertEqual(processor.hop, int(rate / 100 + 0.5))
            self.assertIsInstance(processor.instrument, Instrument)
            self.assertEqual(processor.instrument.name, "flute")
        for name, value in [("sample_rate", 1), ("block_size", 1), ("hop", 1), ("instrument", Instrument("oboe"))]:
            with self.subTest(name), self.assertRaises(AttributeError):
                setattr(processor, name, value)

    def test_limits_of_the_arguments_are_inclusive(self) -> None:
        for rate, block in [(8000, 1), (192000, 65536)]:
            processor = DDSPProcessor("violin", rate, block)
            self.assertEqual(len(processor.process(440.0, 0.5)), 2 * block)

    def test_seeds_differ_in_the_noise_only(self) -> None:
        self.assertNotEqual(tone(DDSPProcessor("flute", seed=1)), tone(DDSPProcessor("flute", seed=2)))
        first, second = DDSPProcessor("flute", seed=1), DDSPProcessor("flute", seed=2)
        first.set_noise_gain(0.0)
        second.set_noise_gain(0.0)
        self.assertEqual(tone(first), tone(second))

    def test_classes_can_be_derived(self) -> None:
        class Doubled(DDSPProcessor):
            def get_next_block(self, num_samples: int) -> array.array:
                return array.array("f", [2.0 * sample for sample in super().get_next_block(num_samples)])

        found = np.frombuffer(tone(Doubled("flute", 48000.0, 960)), dtype=np.float32)
        expected = np.frombuffer(tone(DDSPProcessor("flute")), dtype=np.float32)
        np.testing.assert_array_equal(found, 2.0 * expected)

    def test_version_is_a_text(self) -> None:
        self.assertRegex(ddsp_python.__version__, r"^\d+(\.\d+)+")


class Errors(Folder):
    """Arguments that are refused."""

    def refused(self, path: str) -> str:
        """Asserts that both classes refuse a path in the documented form; returns the reason."""
        messages = []
        for make in (DDSPProcessor, Instrument):
            with self.assertRaises(RuntimeError) as raised:
                make(path)
            messages.append(str(raised.exception))
        self.assertEqual(messages[0], messages[1])
        prefix = f"Failed to load model: {path}: "
        self.assertTrue(messages[0].startswith(prefix), messages[0])
        reason = messages[0][len(prefix) :]
        self.assertTrue(reason and "\n" not in reason, messages[0])
        return reason

    def test_files_that_are_no_instruments(self) -> None:
        noise = np.random.default_rng(1).bytes(10_000)
        whole = (MODELS / "violin.onnx").read_bytes()
        for path in [
            str(self.folder / "missing.onnx"),
            str(self.folder),
            self.file("empty.onnx", b""),
            self.file("random.onnx", noise),
            self.file("random", noise),
            self.file("cut.onnx", whole[: len(whole) // 2]),
            self.file("text.onnx", b"not a model\n" * 100),
        ]:
            with self.subTest(path):
                reason = self.refused(path)
                self.assertNotIn(path, reason, "the path is named once")

    def test_a_missing_file_is_named_with_the_reason_of_the_system(self) -> None:
        self.assertIn("No such file or directory", self.refused(str(self.folder / "missing.onnx")))

    def test_an_unknown_name_lists_the_known_ones(self) -> None:
        reason = self.refused("kazoo")
        for name in INSTRUMENTS:
            self.assertIn(name, reason)

    def test_a_tflite_file_without_a_namesake_names_the_converter(self) -> None:
        there = self.file("Trumpet.tflite", b"\x1c\0\0\0TFL3" + bytes(500))
        for path in [there, str(self.folder / "model.tflite")]:
            with self.subTest(path):
                self.assertIn(f"python3 models/convert.py {path}", self.refused(path))

    def test_wrong_types(self) -> None:
        for arguments in [
            (5,), (3.5,), (True,), (["violin"],), (object(),),
            ("violin", "48000"), ("violin", None), ("violin", [48000.0]), ("violin", 48000.0, "960"),
            ("violin", 48000.0, 960.0), ("violin", 48000.0, None), ("violin", 48000.0, 960, 1),
        ]:
            with self.subTest(arguments), self.assertRaises(TypeError):
                DDSPProcessor(*arguments)
        with self.assertRaises(TypeError):
            DDSPProcessor("violin", rate=48000)
        with self.assertRaises(TypeError):
            DDSPProcessor("violin", seed="1")
        for value in (5, 1.5):
            with self.subTest(value), self.assertRaises(TypeError):
                Instrument(value)

    def test_rates_out_of_range(self) -> None:
        for rate in [7999, 192001, 0, -48000.0, float("nan"), float("inf"), 1e300]:
            with self.subTest(rate):
                with self.assertRaises(ValueError) as raised:
                    DDSPProcessor("violin", rate, 960)
                for part in ("sample_rate", "8000", "192000"):
                    self.assertIn(part, str(raised.exception))
        for rate in (7999, 192001, -48000):
            with self.subTest(rate), self.assertRaisesRegex(ValueError, f"is {rate}[;.]"):
                DDSPProcessor("violin", rate, 960)

    def test_block_sizes_out_of_range(self) -> None:
        for size in [0, -1, -(2**63), 65537, 2**40]:
            with self.subTest(size):
                with self.assertRaises(ValueError) as raised:
                    DDSPProcessor("violin", 48000.0, size)
                for part in ("block_size", "65536", str(size)):
                    self.assertIn(part, str(raised.exception))
        with self.assertRaises((OverflowError, ValueError)):
            DDSPProcessor("violin", 48000.0, 2**70)


class Controls(unittest.TestCase):
    """Setters hold values in range instead of refusing them."""

    def heard(self, setter: str, *values: float) -> bytes:
        """Returns the sound of a tone after some calls of a setter."""
        processor = DDSPProcessor("clarinet")
        processor.set_f0(330.0)
        processor.set_loudness(0.6)
        for value in values:
            self.assertIsNone(getattr(processor, setter)(value))
        return processor.get_next_block(9600).tobytes()

    def test_values_are_held_in_range(self) -> None:
        for setter, low, high, beyond in [
            ("set_f0", 8.18, 12544.0, [(1e-3, 0), (8.0, 0), (12545.0, 1), (1e9, 1)]),
            ("set_loudness", 0.0, 1.0, [(-1.0, 0), (-1e9, 0), (1.001, 1), (1e9, 1)]),
            ("set_pitch_shift", -48.0, 48.0, [(-49.0, 0), (-1e9, 0), (49.0, 1), (1e9, 1)]),
            ("set_harmonic_gain", 0.0, 10.0, [(-1.0, 0), (-1e9, 0), (10.5, 1), (1e9, 1)]),
            ("set_noise_gain", 0.0, 10.0, [(-1.0, 0), (-1e9, 0), (10.5, 1), (1e9, 1)]),
        ]:
            for value, end in beyond:
                with self.subTest(f"{setter}({value})"):
                    self.assertEqual(self.heard(setter, value), self.heard(setter, (low, high)[end]))

    def test_what_is_not_finite_is_ignored(self) -> None:
        for setter in ("set_f0", "set_loudness", "set_pitch_shift", "set_harmonic_gain", "set_noise_gain"):
            for value in (float("nan"), float("inf"), float("-inf")):
                with self.subTest(f"{setter}({value})"):
                    self.assertEqual(self.heard(setter, 0.5, value), self.heard(setter, 0.5))

    def test_a_pitch_of_zero_or_less_is_silence(self) -> None:
        for value in (0, 0.0, -1.0, -440.0):
            with self.subTest(value):
                self.assertFalse(np.any(np.frombuffer(self.heard("set_f0", value), dtype=np.float32)))
        self.assertEqual(self.heard("set_f0", 0.0, 330.0), self.heard("set_f0"))

    def test_any_number_will_do_and_nothing_else(self) -> None:
        for setter in ("set_f0", "set_loudness", "set_pitch_shift", "set_harmonic_gain", "set_noise_gain"):
            for value in (1, True, np.float32(1), np.int64(1)):
                self.assertEqual(self.heard(setter, value), self.heard(setter, 1.0), (setter, value))
            for wrong in ("1", None, [1.0], 1j):
                with self.subTest(f"{setter}({wrong!r})"), self.assertRaises(TypeError):
                    getattr(DDSPProcessor(), setter)(wrong)

    def test_controls_take_effect_with_the_next_hop(self) -> None:
        hop = DDSPProcessor().hop
        start = [(0, "set_f0", 440.0), (0, "set_loudness", 0.8)]
        changes = {
            at: play(DDSPProcessor(), [*start, (10 * hop + at, "set_f0", 660.0)], 40 * hop, [4096])
            for at in (0, 1, 200, hop - 1, hop, hop + 1)
        }
        self.assertEqual(len({changes[at] for at in (1, 200, hop - 1, hop)}), 1)
        self.assertEqual(len({changes[at] for at in (0, hop, hop + 1)}), 3)
        # A float32 has four bytes.
        steady = play(DDSPProcessor(), start, 40 * hop, [4096])
        self.assertEqual(changes[hop][: 11 * hop * 4], steady[: 11 * hop * 4])
        self.assertNotEqual(changes[hop][: 12 * hop * 4], steady[: 12 * hop * 4])


class Blocks(unittest.TestCase):
    """Blocks of samples: their type, and that their size does not matter."""

    def test_a_block_is_what_the_older_programs_need(self) -> None:
        processor = DDSPProcessor("violin", 48000.0, 960)
        processor.set_f0(440.0)
        processor.set_loudness(0.8)
        processor.get_next_block(4800)
        block = processor.get_next_block(960)
        self.assertIsInstance(block, array.array)
        self.assertEqual((block.typecode, len(block)), ("f", 960))
        self.assertTrue(all(type(sample) is float and -1.0 <= sample <= 1.0 for sample in block))
        self.assertTrue(any(block))
        sound: list[float] = []
        sound.extend(block)
        self.assertEqual(len(sound), 960)
        values = np.array(block)
        self.assertEqual((values.shape, values.dtype), ((960,), np.float32))
        self.assertEqual(list(np.frombuffer(block.tobytes(), dtype=np.float32)), sound)
        self.assertEqual(list(block[10:13]), sound[10:13])
        block[0] = 0.5
        self.assertEqual(block[0], 0.5)
        self.assertEqual(len(processor.get_next_block(num_samples=441)), 441)

    def test_nothing_is_a_block_too(self) -> None:
        processor = DDSPProcessor()
        self.assertEqual(tone(processor), tone(DDSPProcessor()))
        self.assertEqual(len(processor.get_next_block(0)), 0)
        self.assertEqual(processor.get_next_block(0).tobytes(), b"")
        self.assertEqual(processor.get_next_array(0).shape, (0,))

    def test_arrays_hold_the_same_samples(self) -> None:
        first, second = DDSPProcessor("oboe"), DDSPProcessor("oboe")
        for count in (960, 1, 4097):
            for processor in (first, second):
                processor.set_f0(500.0)
                processor.set_loudness(0.7)
            found = first.get_next_array(count)
            self.assertIsInstance(found, np.ndarray)
            self.assertEqual((found.shape, found.dtype), ((count,), np.float32))
            self.assertEqual(found.tobytes(), second.get_next_block(count).tobytes())
            self.assertTrue(found.flags.writeable and found.flags.c_contiguous)

    def test_a_block_is_not_changed_by_the_next(self) -> None:
        processor = DDSPProcessor()
        for get in (processor.get_next_block, processor.get_next_array):
            tone(processor)
            first = get(960)
            copy = first.tobytes()
            get(960)
            self.assertEqual(first.tobytes(), copy)

    def test_numbers_that_are_refused(self) -> None:
        for get in (DDSPProcessor().get_next_block, DDSPProcessor().get_next_array):
            for count in (-1, -960, -(2**63)):
                with self.subTest(count), self.assertRaisesRegex(ValueError, "num_samples"):
                    get(count)
            for wrong in (960.0, "960", None):
                with self.subTest(wrong), self.assertRaises(TypeError):
                    get(wrong)
            self.assertEqual(len(get(np.int64(5))), 5)

    def test_a_huge_number_raises_instead_of_ending_the_process(self) -> None:
        code = """
import ddsp_python, sys
processor = ddsp_python.DDSPProcessor()
for get in (processor.get_next_block, processor.get_next_array):
    for exponent in (44, 61, 62, 63, 64, 100):
        try:
            get(2**exponent)
        except (MemoryError, OverflowError, ValueError) as error:
            print(type(error).__name__)
assert len(processor.get_next_block(960)) == 960
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, len(done.stdout.split())), (0, 12), done.stdout + done.stderr)

    def test_without_numpy_there_are_blocks_but_no_arrays(self) -> None:
        code = """
import sys
sys.modules["numpy"] = None  # as if it were not installed
import ddsp_python
processor = ddsp_python.DDSPProcessor()
assert len(processor.get_next_block(960)) == 960
assert len(processor.process(440.0, 0.8)) == len(processor.process_midi([])) == 1920
for work in (lambda: processor.get_next_array(960), lambda: ddsp_python.render([440.0], 0.8)):
    try:
        work()
    except ImportError as error:
        assert "numpy" in str(error)
        print("refused")
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stdout.split()), (0, ["refused"] * 2), done.stderr)

    SIZES = {
        "1": [1],
        "441": [441],
        "480": [480],
        "960": [960],
        "4096": [4096],
        "all at once": [10**6],
        "random": [int(size) for size in np.random.default_rng(3).integers(1, 3000, 50)],
    }

    def test_constant_controls_give_the_same_samples_in_blocks_of_any_size(self) -> None:
        schedule = [(0, "set_f0", 440.0), (0, "set_loudness", 0.8)]
        for name, rate in [("violin", 48000), ("flute", 44100), ("trombone", 22050)]:
            sounds = {
                size: play(DDSPProcessor(name, rate), schedule, rate // 2 + 77, sizes)
                for size, sizes in self.SIZES.items()
            }
            for size, sound in sounds.items():
                self.assertEqual(sound, sounds["960"], f"{name} in blocks of {size}")
            self.assertTrue(any(sounds["960"]))

    def test_changing_controls_give_the_same_samples_in_blocks_of_any_size(self) -> None:
        # Every change has its own position, also within hops, and a silence is long enough for the voice to rest.
        schedule = [
            (0, "set_f0", 440.0), (0, "set_loudness", 0.8), (4800, "set_f0", 466.2), (7001, "set_pitch_shift", 3.0),
            (9999, "set_loudness", 0.3), (12_345, "set_noise_gain", 2.5), (14_400, "set_harmonic_gain", 0.4),
            (16_000, "set_f0", 0.0), (19_200, "set_f0", 500.0), (21_111, "set_loudness", 0.0),
            (40_003, "set_loudness", 1.0), (43_200, "set_f0", 0.0), (44_000, "set_loudness", 0.5),
        ]
        for name in ("saxophone", "violin"):
            sounds = {
                size: play(DDSPProcessor(name), schedule, 48_000, sizes) for size, sizes in self.SIZES.items()
            }
            for size, sound in sounds.items():
                self.assertEqual(sound, sounds["960"], f"{name} in blocks of {size}")

    def test_the_block_size_of_the_constructor_does_not_matter(self) -> None:
        self.assertEqual(tone(DDSPProcessor("violin", 48000.0, 1)), tone(DDSPProcessor("violin", 48000.0, 65536)))


class Sound(unittest.TestCase):
    """What is heard."""

    def test_silence_is_exact(self) -> None:
        processor = DDSPProcessor("flute")
        self.assertFalse(any(processor.get_next_block(48_000)), "before a loudness has been set")
        for setter, value in [("set_loudness", 0.0), ("set_f0", 0.0), ("set_f0", -5.0)]:
            with self.subTest(f"{setter}({value})"):
                self.assertTrue(any(held(processor, 440.0, 0.9, 0.2)))
                getattr(processor, setter)(value)
                processor.get_next_block(4800)
                self.assertFalse(any(processor.get_next_block(48_000)), "after 0.1 s")

    def test_pitch_is_right_in_the_range_of_every_instrument(self) -> None:
        for name in INSTRUMENTS:
            low, high = Instrument(name).ranges["f0"]
            for hz in np.geomspace(low, high, 6):
                with self.subTest(f"{name} at {hz:.2f} Hz"):
                    processor = DDSPProcessor(name)
                    found = pitch(held(processor, hz, 0.8, 0.5, skip=0.3), 48_000)
                    self.assertLess(abs(cents(found, hz)), 3.0)

    def test_pitch_is_right_at_every_rate(self) -> None:
        for rate in RATES:
            for hz in (110.0, 261.63, 440.0):
                with self.subTest(f"{hz} Hz at {rate}"):
                    found = pitch(held(DDSPProcessor("cello", rate), hz, 0.8, 0.5, skip=0.3), rate)
                    self.assertLess(abs(cents(found, hz)), 3.0)

    def test_pitch_shift_transposes(self) -> None:
        for semitones in (-12.0, -5.5, 2.0, 7.0, 12.0):
            with self.subTest(semitones):
                processor = DDSPProcessor("violin")
                processor.set_pitch_shift(semitones)
                found = pitch(held(processor, 440.0, 0.8, 0.5, skip=0.3), 48_000)
                self.assertLess(abs(cents(found, 440.0 * 2.0 ** (semitones / 12.0))), 3.0)

    def test_gains_are_linear_in_partials_and_noise(self) -> None:
        def sound(harmonic: float, noise: float) -> np.ndarray:
            processor = DDSPProcessor("saxophone")
            processor.set_harmonic_gain(harmonic)
            processor.set_noise_gain(noise)
            return held(processor, 300.0, 0.7, 0.5)

        partials, noise = sound(1.0, 0.0), sound(0.0, 1.0)
        self.assertFalse(np.any(sound(0.0, 0.0)))
        self.assertTrue(np.any(noise) and level(partials) > level(noise) + 6.0)
        for harmonic, breath in [(1.0, 1.0), (0.5, 0.0), (0.0, 2.0), (10.0, 10.0), (0.25, 3.0)]:
            with self.subTest(f"{harmonic}, {breath}"):
                expected = harmonic * partials + breath * noise
                np.testing.assert_allclose(sound(harmonic, breath), expected, atol=3e-6 * max(1.0, harmonic, breath))

    def test_more_loudness_is_louder(self) -> None:
        for name in INSTRUMENTS:
            hz = np.sqrt(np.prod(Instrument(name).ranges["f0"]))
            levels = [level(held(DDSPProcessor(name), hz, x, 0.5, skip=0.5)) for x in (0.1, 0.4, 0.7, 1.0)]
            self.assertEqual(levels, sorted(levels), name)
            # Recordings of the violin were all loud, so its range is the smallest.
            self.assertGreater(levels[-1], levels[0] + 6.0, name)
            self.assertLess(levels[-1], -6.0, name)

    def test_the_same_controls_give_the_same_samples(self) -> None:
        for name in INSTRUMENTS:
            self.assertEqual(tone(DDSPProcessor(name)), tone(DDSPProcessor(name)), name)

    def test_reset_begins_anew_with_the_same_controls(self) -> None:
        processor = DDSPProcessor("cello")
        for setter, value in [
            ("set_f0", 220.0), ("set_loudness", 0.9), ("set_pitch_shift", -3.0), ("set_harmonic_gain", 0.5),
            ("set_noise_gain", 2.0),
        ]:
            getattr(processor, setter)(value)
        fresh = processor.get_next_block(20_000).tobytes()
        processor.get_next_block(12_345)
        self.assertIsNone(processor.reset())
        self.assertEqual(processor.get_next_block(20_000).tobytes(), fresh)
        processor.reset()
        processor.reset()
        self.assertEqual(processor.get_next_block(20_000).tobytes(), fresh)

    def test_reset_keeps_a_voice_silent_that_was_silenced(self) -> None:
        processor = DDSPProcessor()
        tone(processor)
        processor.set_f0(0.0)
        processor.reset()
        self.assertFalse(any(processor.get_next_block(9600)))


class Process(unittest.TestCase):
    """`process`: frames of 16-bit samples."""

    def test_frames_hold_the_same_samples(self) -> None:
        for size in (1, 441, 960, 1920):
            older, newer = DDSPProcessor("violin", 48000.0, size), DDSPProcessor("violin", 48000.0, size)
            for k in range(20):
                hz, loudness = 440.0 + 10.0 * k, 1.0 - 0.04 * k
                frame = older.process(hz, loudness)
                self.assertIsInstance(frame, bytes)
                newer.set_f0(hz)
                newer.set_loudness(loudness)
                samples = np.array(newer.get_next_block(size))
                self.assertEqual(len(frame), 2 * size)
                found = np.frombuffer(frame, dtype="<i2").astype(np.float64)
                np.testing.assert_allclose(found, samples * 32767.0, atol=1.0)

    def test_keywords_and_position(self) -> None:
        first, second = DDSPProcessor(), DDSPProcessor()
        self.assertEqual(first.process(f0=440.0, loudness=0.8), second.process(440.0, 0.8))
        self.assertEqual(first.process(440, 1), second.process(440.0, 1.0))

    def test_controls_stay_behind_a_frame(self) -> None:
        first, second = DDSPProcessor(), DDSPProcessor()
        first.process(440.0, 0.8)
        tone_of_second = tone(second)
        self.assertEqual(first.get_next_block(3840).tobytes(), tone_of_second[960 * 4 :])

    def test_silence_is_exact(self) -> None:
        processor = DDSPProcessor()
        self.assertEqual(processor.process(440.0, 0.0), bytes(1920))
        for _ in range(10):
            processor.process(440.0, 0.8)
        for f0, loudness in [(0.0, 0.8), (440.0, 0.0), (-1.0, 0.5)]:
            for _ in range(10):
                processor.process(f0, loudness)
            self.assertEqual(processor.process(f0, loudness), bytes(1920))

    def test_too_loud_a_sound_is_limited_and_does_not_wrap(self) -> None:
        first, second = DDSPProcessor("flute"), DDSPProcessor("flute")
        for processor in (first, second):
            processor.set_harmonic_gain(10.0)
        exact = held(second, 880.0, 1.0, 0.2)
        frames = b"".join(first.process(880.0, 1.0) for _ in range(10))
        found = np.frombuffer(frames, dtype="<i2").astype(np.float64)
        self.assertGreater(np.max(np.abs(exact)), 1.1)
        # Both −32767 and −32768 are full scale.
        np.testing.assert_allclose(found, np.clip(exact, -1.0, 1.0) * 32767.0, atol=1.0)

    def test_wrong_types(self) -> None:
        for arguments in [(), (440.0,), ("440", 0.8), (440.0, None), (440.0, 0.8, 1)]:
            with self.subTest(arguments), self.assertRaises(TypeError):
                DDSPProcessor().process(*arguments)


if __name__ == "__main__":
    unittest.main()
