"""`render`, `render_midi` and the list of instruments; their samples are those of `grooved` bit for bit."""

from __future__ import annotations

import pathlib
import re
import tempfile
import unittest
from collections.abc import Sequence
from typing import Any

import ddsp_python
import numpy as np
from ddsp_python import DDSPProcessor, Instrument, render, render_midi

from test_ddsp_support import INSTRUMENTS, MODELS, cents, grooved, midi_file, pitch, read_wav

RATES = [8000, 22050, 44100, 48000, 96000]
CONTROLS = ("pitch_shift", "harmonic_gain", "noise_gain")


def stepped(f0s: Sequence[float], loudness: Any, instrument: str = "violin", rate: float = 48000.0, seed: int = 1,
            **controls: Any) -> np.ndarray:
    """Returns what `render` is expected to, made hop by hop with a `DDSPProcessor`."""
    processor = DDSPProcessor(instrument, rate, seed=seed)
    values = {name: np.broadcast_to(value, len(f0s)) for name, value in {"loudness": loudness, **controls}.items()}
    hops = []
    for k, hz in enumerate(f0s):
        processor.set_f0(hz)
        for name, value in values.items():
            getattr(processor, f"set_{name}")(value[k])
        hops.append(processor.get_next_array(processor.hop))
    return np.concatenate(hops) if hops else np.zeros(0, dtype=np.float32)


class Samples(unittest.TestCase):
    """A test that compares samples exactly."""

    def same(self, found: np.ndarray, expected: np.ndarray, message: str = "") -> None:
        """Asserts that two arrays of float32 have the same shape and the same bits; −0 equals 0."""
        self.assertEqual((found.dtype, found.shape), (np.float32, expected.shape), message)
        different = np.flatnonzero(found != expected)
        if len(different):
            at = np.unravel_index(different[0], found.shape)
            self.fail(
                f"{message}: {len(different)} of {found.size} samples differ, the first at {at}: "
                f"{found[at]!r}, expected {expected[at]!r}"
            )


def melody(hops: int, low: float, high: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns pitches and loudness of some hops: steps, glides and pauses within a range."""
    random = np.random.default_rng(seed)
    f0s = np.repeat(np.exp(random.uniform(np.log(low), np.log(high), hops // 25 + 1)), 25)[:hops]
    f0s *= 1.0 + 0.01 * np.sin(np.arange(hops) * 0.35)
    f0s[random.integers(0, hops, 3)[0] :][:45] = 0.0
    return f0s, np.clip(0.6 + 0.4 * np.sin(np.arange(hops) * 0.07), 0.0, 1.0)


class Render(Samples):
    """`render` with a value for each hop."""

    def test_it_is_a_processor_stepped_hop_by_hop(self) -> None:
        for name in INSTRUMENTS:
            low, high = Instrument(name).ranges["f0"]
            f0s, loudness = melody(200, low, high, seed=5)
            self.same(render(f0s, loudness, instrument=name), stepped(f0s, loudness, name), name)

    def test_at_every_rate(self) -> None:
        f0s, loudness = melody(120, 200.0, 700.0, seed=6)
        for rate in RATES:
            found = render(f0s, loudness, instrument="clarinet", sample_rate=rate)
            self.same(found, stepped(f0s, loudness, "clarinet", rate), f"{rate} Hz")
            self.assertEqual(len(found), 120 * int(rate / 100 + 0.5))

    def test_all_controls_follow_their_values(self) -> None:
        f0s, loudness = melody(150, 150.0, 500.0, seed=7)
        hops = np.arange(150)
        controls = {
            "pitch_shift": 5.0 * np.sin(hops * 0.1),
            "harmonic_gain": 1.0 + 0.5 * np.sin(hops * 0.2),
            "noise_gain": hops / 50.0,
        }
        found = render(f0s, loudness, instrument="cello", seed=9, **controls)
        self.same(found, stepped(f0s, loudness, "cello", seed=9, **controls))
        for name, values in controls.items():
            self.same(
                render(f0s, loudness, instrument="cello", **{name: values}),
                stepped(f0s, loudness, "cello", **{name: values}),
                name,
            )
            self.same(
                render(f0s, loudness, instrument="cello", **{name: 2}),
                render(f0s, loudness, instrument="cello", **{name: np.full(150, 2.0)}),
                name,
            )

    def test_controls_out_of_range_are_held(self) -> None:
        f0s = np.full(30, 440.0)
        for name, value, limit in [
            ("loudness", 7.0, 1.0), ("loudness", -1.0, 0.0), ("pitch_shift", 99.0, 48.0), ("pitch_shift", -99.0, -48.0),
            ("harmonic_gain", -1.0, 0.0), ("noise_gain", 11.0, 10.0),
        ]:
            with self.subTest(name):
                self.same(render(f0s, **{"loudness": 0.5, name: value}), render(f0s, **{"loudness": 0.5, name: limit}))
        self.same(render(np.full(30, 1e9), 0.5), render(np.full(30, 12544.0), 0.5))
        self.same(render(np.full(30, 2.0), 0.5), render(np.full(30, 8.18), 0.5))

    def test_silence_is_exact(self) -> None:
        for f0s, loudness in [(np.zeros(50), 0.8), (np.full(50, 440.0), 0.0), (np.full(50, -1.0), 1.0)]:
            found = render(f0s, loudness)
            self.assertEqual((found.shape, found.dtype), ((50 * 480,), np.float32))
            self.assertFalse(np.any(found))
        found = render(np.where(np.arange(100) < 50, 440.0, 0.0), 0.8)
        self.assertTrue(np.any(found[: 50 * 480]))
        self.assertFalse(np.any(found[60 * 480 :]))

    def test_what_has_no_pitch_is_silence(self) -> None:
        # Pitch trackers give NaN there.
        f0s = np.where(np.arange(100) // 20 % 2 == 0, 440.0, np.nan)
        found = render(f0s, 0.8)
        self.same(found, render(np.nan_to_num(f0s), 0.8))
        self.assertFalse(np.any(found[30 * 480 : 40 * 480]))
        times = np.arange(100) * 0.01
        self.same(render(f0s, 0.8, times=times), render(np.nan_to_num(f0s), 0.8, times=times))

    def test_pitch_is_right(self) -> None:
        for hz in (220.0, 440.0, 880.0):
            found = pitch(render(np.full(80, hz), 0.8)[14_400:], 48_000)
            self.assertLess(abs(cents(found, hz)), 3.0)

    def test_nothing_gives_nothing(self) -> None:
        found = render([], 0.5)
        self.assertEqual((found.shape, found.dtype), ((0,), np.float32))

    def test_whatever_NumPy_takes_for_an_array(self) -> None:
        f0s = [440.0, 450.0, 460.0, 470.0]
        expected = render(np.array(f0s), np.array([0.8] * 4))
        spread = np.empty((4, 3))
        spread[:, 1] = f0s
        for form in [
            f0s, tuple(f0s), [int(hz) for hz in f0s], np.array(f0s, dtype=np.float32), np.array(f0s, dtype=np.int64),
            spread[:, 1], np.array(f0s[::-1])[::-1], np.array(f0s, dtype=">f8"),
        ]:
            self.same(render(form, 0.8), expected, repr(form))
            self.same(render(form, [0.8] * 4), expected, repr(form))
            self.same(render(form, np.float64(0.8)), expected, repr(form))
        self.same(render(f0s=f0s, loudness=0.8), expected)
        kept = np.array(f0s)
        render(kept, 0.8)
        self.assertEqual(list(kept), f0s, "the caller's array is not changed")

    def test_instruments_in_all_forms(self) -> None:
        f0s = np.full(20, 440.0)
        expected = render(f0s, 0.8, instrument="oboe")
        for form in ("OBOE", Instrument("oboe"), MODELS / "oboe.onnx", str(MODELS / "oboe.onnx")):
            self.same(render(f0s, 0.8, instrument=form), expected, repr(form))
        self.same(render(f0s, 0.8), render(f0s, 0.8, instrument="violin"))

    def test_the_tail_is_the_release(self) -> None:
        f0s, loudness = np.full(60, 440.0), np.full(60, 0.8)
        short, long = render(f0s, loudness), render(f0s, loudness, tail=True)
        self.same(long[: len(short)], short)
        self.assertGreater(len(long), len(short))
        self.assertTrue(np.any(long[len(short) :]), "the release is heard")
        self.assertFalse(np.any(long[-480:]), "and has ended")
        self.assertEqual(len(long) % 480, 0)
        after = render(np.concatenate([f0s, np.zeros(100)]), np.concatenate([loudness, np.zeros(100)]))
        self.same(long, after[: len(long)])


class Voices(Samples):
    """`render` with several voices."""

    def setUp(self) -> None:
        pairs = [melody(100, 150.0, 500.0, seed) for seed in (11, 12, 13)]
        self.f0s = np.array([f0s for f0s, _ in pairs])
        self.loudness = np.array([loudness for _, loudness in pairs])

    def test_voices_are_apart_without_a_mix(self) -> None:
        found = render(self.f0s, self.loudness, instrument="cello", mix=False)
        self.assertEqual((found.shape, found.dtype), ((3, 48_000), np.float32))
        self.same(found[0], render(self.f0s[0], self.loudness[0], instrument="cello"))
        for voice in (1, 2):
            # Their noise has other seeds, so that it does not add up coherently.
            same = render(self.f0s[voice], self.loudness[voice], instrument="cello")
            self.assertTrue(np.any(found[voice] != same))
            harmonic = render(self.f0s, self.loudness, instrument="cello", noise_gain=0.0, mix=False)[voice]
            self.same(
                harmonic, render(self.f0s[voice], self.loudness[voice], instrument="cello", noise_gain=0.0)
            )

    def test_the_mix_has_equal_power(self) -> None:
        for count in (1, 2, 3):
            apart = render(self.f0s[:count], self.loudness[:count], mix=False)
            found = render(self.f0s[:count], self.loudness[:count])
            self.assertEqual((found.shape, found.dtype), ((48_000,), np.float32))
            expected = np.sum(apart.astype(np.float64), axis=0) / np.sqrt(count)
            np.testing.assert_allclose(found, expected, atol=2e-7)
        self.same(render(self.f0s[:1], self.loudness[:1]), render(self.f0s[0], self.loudness[0]))

    def test_equal_voices_do_not_have_equal_noise(self) -> None:
        found = render(np.full((2, 50), 440.0), 0.8, harmonic_gain=0.0, mix=False)
        self.assertLess(abs(np.corrcoef(found)[0, 1]), 0.1)

    def test_the_seed_is_that_of_the_first_voice(self) -> None:
        for seed in (0, 1, 77):
            found = render(self.f0s, self.loudness, seed=seed, mix=False)
            self.same(found[0], stepped(self.f0s[0], self.loudness[0], seed=seed), f"seed {seed}")
            self.same(found, render(self.f0s, self.loudness, seed=seed, mix=False))

    def test_controls_are_broadcast(self) -> None:
        whole = np.ones((3, 100))
        for name in ("loudness", *CONTROLS):
            base: dict[str, Any] = {"loudness": 0.7, "mix": False}
            one, per_hop, per_voice = 0.5, np.linspace(0.1, 1.0, 100), np.array([[0.2], [0.6], [0.9]])
            for form in (one, per_hop, per_voice, per_hop[np.newaxis], per_hop * per_voice, per_voice.tolist()):
                expected = render(self.f0s, **{**base, name: whole * np.asarray(form)})
                self.same(render(self.f0s, **{**base, name: form}), expected, name)

    def test_a_tail_lasts_until_the_last_voice_is_silent(self) -> None:
        found = render(self.f0s, self.loudness, mix=False, tail=True)
        self.assertEqual(found.shape[0], 3)
        self.same(found[:, :48_000], render(self.f0s, self.loudness, mix=False))
        self.assertFalse(np.any(found[:, -480:]))


class Errors(unittest.TestCase):
    """Arguments that are refused name the argument."""

    def refused(self, name: str, *arguments: Any, **keywords: Any) -> None:
        with self.assertRaises(ValueError) as raised:
            render(*arguments, **keywords)
        self.assertIn(name, str(raised.exception))

    def test_shapes(self) -> None:
        f0s = np.full((2, 10), 440.0)
        self.refused("f0s", 440.0, 0.5)
        self.refused("f0s", np.full((2, 3, 4), 440.0), 0.5)
        self.refused("f0s", np.zeros((0, 10)), 0.5)
        for name in ("loudness", *CONTROLS):
            for value in (np.ones(9), np.ones((3, 10)), np.ones((2, 9)), np.ones((1, 2, 10)), np.ones(2), np.ones(0)):
                with self.subTest(f"{name} {value.shape}"):
                    self.refused(name, f0s, **{"loudness": 0.5, name: value})

    def test_the_message_names_both_shapes(self) -> None:
        with self.assertRaises(ValueError) as raised:
            render(np.full(10, 440.0), np.ones(9))
        self.assertIn("9", str(raised.exception))
        self.assertIn("10", str(raised.exception))

    def test_breakpoints_are_checked_as_those_of_the_program(self) -> None:
        for name, value in [
            ("loudness", 1.5), ("loudness", -0.1), ("loudness", float("nan")), ("f0s", 12_545.0), ("f0s", float("inf")),
        ]:
            keywords = {"f0s": np.full(4, 440.0), "loudness": np.full(4, 0.5), "times": np.arange(4.0)}
            keywords[name] = np.where(np.arange(4) == 2, value, keywords[name])
            with self.subTest(f"{name} {value}"):
                self.refused(name, **keywords)

    def test_controls_of_breakpoints_are_numbers(self) -> None:
        for name in CONTROLS:
            with self.subTest(name):
                self.refused(name, [440.0, 550.0], 0.5, times=[0.0, 1.0], **{name: [1.0, 2.0]})

    def test_times(self) -> None:
        f0s = [440.0, 550.0, 660.0]
        for times in ([0.0, 1.0], [0.0, 1.0, 2.0, 3.0], [[0.0, 1.0, 2.0]], 1.0, [0.0, 2.0, 1.0], [0.0, 1.0, 1.0],
                      [-1.0, 0.0, 1.0], [0.0, 1.0, float("nan")], [0.0, 1.0, float("inf")]):
            with self.subTest(times):
                self.refused("times", f0s, 0.5, times=times)

    def test_rates(self) -> None:
        for rate in (7999, 192_001, 0, float("nan")):
            with self.subTest(rate):
                self.refused("sample_rate", [440.0], 0.5, sample_rate=rate)

    def test_types(self) -> None:
        for keywords in [
            {"f0s": "440", "loudness": 0.5}, {"f0s": None, "loudness": 0.5}, {"f0s": [440.0], "loudness": "loud"},
            {"f0s": [440.0]}, {"f0s": [440.0], "loudness": 0.5, "instrument": 5},
            {"f0s": [440.0], "loudness": 0.5, "pitch": 5}, {"f0s": [440.0], "loudness": 0.5, "sample_rate": "48000"},
            {"f0s": [440.0 + 1j], "loudness": 0.5},
        ]:
            with self.subTest(keywords), self.assertRaises((TypeError, ValueError)):
                render(**keywords)
        with self.assertRaises(TypeError):
            render([440.0], 0.5, "flute")
        with self.assertRaisesRegex(RuntimeError, "^Failed to load model: kazoo: "):
            render([440.0], 0.5, instrument="kazoo")

    def test_the_error_of_midi_names_the_argument(self) -> None:
        song = midi_file([[(0, [0x90, 69, 100]), (480, [0x80, 69, 0])]])
        nan = float("nan")
        for name, values in {
            "sample_rate": (7999, 192_001, nan), "voices": (0, -1, 1000), "gain_db": (-61.0, 21.0, nan),
        }.items():
            for value in values:
                with self.subTest(f"{name} {value}"), self.assertRaisesRegex(ValueError, name):
                    render_midi(song, **{name: value})
        for number in (0, 2, -1):
            with self.subTest(number), self.assertRaisesRegex(ValueError, "instrument"):
                render_midi(song, instrument={number: "flute"})
        for wrong in (5, None, [1, 2]):
            with self.subTest(wrong), self.assertRaises(TypeError):
                render_midi(wrong)
        with self.assertRaises(TypeError):
            render_midi(song, instrument=5)
        with self.assertRaisesRegex(RuntimeError, "^Failed to load model: kazoo: "):
            render_midi(song, instrument="kazoo")

    def test_midi_that_can_not_be_played(self) -> None:
        for content in (b"", b"RIFF", b"MThd", midi_file([[]]), midi_file([[(0, [0x99, 60, 100])]])):
            with self.subTest(content), self.assertRaisesRegex(ValueError, "midi"):
                render_midi(content)
        with self.assertRaises(FileNotFoundError):
            render_midi("/nowhere/song.mid")


class BesideTheProgram(Samples):
    """The same samples as the commands of `grooved`."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def controls(self, rows: Sequence[tuple[float, float, float]], *options: Any) -> np.ndarray:
        """Returns the first channel of `grooved render-controls` with a table."""
        table, wav = self.folder / "table.csv", self.folder / "table.wav"
        table.write_text("time,f0,loudness\n" + "".join(f"{t!r},{f!r},{x!r}\n" for t, f, x in rows))
        grooved("render-controls", table, wav, "--quiet", "--models", MODELS, *options)
        rate, frames = read_wav(wav)
        self.assertEqual(list(frames[:, 0]), list(frames[:, 1]))
        self.assertEqual(rate, int(options[options.index("--rate") + 1]) if "--rate" in options else 48_000)
        return frames[:, 0]

    def compare(self, rows: Sequence[tuple[float, float, float]], name: str, rate: int, message: str) -> None:
        """Asserts that `render` with breakpoints gives the same samples as the program."""
        times, f0s, loudness = (list(column) for column in zip(*rows))
        expected = self.controls(rows, "--instrument", name, "--rate", rate)
        found = render(f0s, loudness, instrument=name, sample_rate=rate, times=times, tail=True)
        self.same(found, expected, message)
        self.assertTrue(np.any(found), message)
        hop = DDSPProcessor(name, rate).hop
        # The last hop that begins before the last breakpoint is the last one without the release.
        length = -(-int(times[-1] * rate) // hop) * hop
        self.same(render(f0s, loudness, instrument=name, sample_rate=rate, times=times), expected[:length], message)

    def test_breakpoints_of_every_instrument_at_every_rate(self) -> None:
        for index, name in enumerate(INSTRUMENTS):
            low, high = Instrument(name).ranges["f0"]
            random = np.random.default_rng(index)
            times = np.cumsum(random.uniform(0.003, 0.3, 12))
            rows = [(float(t), float(f), float(x)) for t, f, x in
                    zip(times, np.exp(random.uniform(np.log(low), np.log(high), 12)), random.uniform(0.1, 1.0, 12))]
            rows[4] = (rows[4][0], 0.0, 0.7)
            rows[5] = (rows[5][0], -1.0, 0.7)
            rows[8] = (rows[8][0], rows[8][1], 0.0)
            for rate in RATES if name in ("violin", "flute") else [44_100, 48_000]:
                self.compare(rows, name, rate, f"{name} at {rate}")

    def test_special_tables(self) -> None:
        for what, rows in {
            "a single line": [(0.5, 440.0, 0.8)],
            "a glide from the start": [(0.0, 220.0, 0.2), (1.0, 880.0, 1.0)],
            "an end between hops": [(0.0, 440.0, 0.8), (0.5037, 440.0, 0.8)],
            "a late start": [(0.333, 440.0, 0.8), (0.7, 440.0, 0.8)],
            "a pause in which it rests": [(0.0, 440.0, 0.8), (0.2, 0.0, 0.0), (1.0, 500.0, 0.9), (1.3, 0.0, 0.0)],
            "breakpoints within a hop": [(0.0, 440.0, 0.8), *((0.1 + k / 1000, 440.0 + k, 0.8) for k in range(40))],
        }.items():
            with self.subTest(what):
                times, f0s, loudness = (list(column) for column in zip(*rows))
                found = render(f0s, loudness, instrument="clarinet", times=times, tail=True)
                self.same(found, self.controls(rows, "--instrument", "clarinet"), what)

    def test_several_voices_have_breakpoints_too(self) -> None:
        times, loudness = [0.0, 0.3, 0.6], [0.8, 0.4, 0.9]
        first, second = [220.0, 330.0, 0.0], [440.0, 0.0, 550.0]
        rows = list(zip(times, first, loudness))
        found = render([first, second], loudness, instrument="cello", times=times, tail=True, mix=False)
        expected = self.controls(rows, "--instrument", "cello")
        self.same(found[0, : len(expected)], expected)
        self.assertFalse(np.any(found[0, len(expected) :]))
        shifted = render(first, loudness, instrument="cello", times=times, pitch_shift=12.0, noise_gain=0.0)
        self.assertTrue(np.any(shifted != found[0, : len(shifted)]))

    def test_values_of_hops_as_a_table(self) -> None:
        # A table that has a line for the end of each hop holds the values of `render` without times.
        hops = 100
        f0s, loudness = np.linspace(300.0, 600.0, hops), np.linspace(0.3, 0.9, hops)
        rows = [((k + 1) * 480 / 48_000, float(f0s[k]), float(loudness[k])) for k in range(hops)]
        self.same(render(f0s, loudness, instrument="oboe"), self.controls(rows, "--instrument", "oboe")[: hops * 480])

    def midi(self, song: bytes, *options: Any) -> np.ndarray:
        """Returns the frames of `grooved render-midi`."""
        path, wav = self.folder / "song.mid", self.folder / "song.wav"
        path.write_bytes(song)
        grooved("render-midi", path, wav, "--quiet", "--models", MODELS, *options)
        return read_wav(wav)[1]

    def test_midi_files(self) -> None:
        for what, song in SONGS.items():
            with self.subTest(what):
                found = render_midi(song)
                self.assertEqual(found.shape[1], 2)
                self.same(found, self.midi(song), what)
                self.assertTrue(np.any(found))

    def test_options_of_midi(self) -> None:
        song = SONGS["two tracks with programs and controllers"]
        for options, keywords in [
            (["--rate", 44_100], {"sample_rate": 44_100}),
            (["--rate", 22_050, "--gain", -6], {"sample_rate": 22_050.0, "gain_db": -6.0}),
            (["--voices", 1], {"voices": 1}),
            (["--instrument", "cello"], {"instrument": "cello"}),
            (["--instrument", "2=oboe"], {"instrument": {2: "oboe"}}),
            (["--instrument", "1=flute", "--instrument", "2=violin"], {"instrument": {1: "flute", 2: "violin"}}),
            (["--instrument", "trombone"], {"instrument": MODELS / "trombone.onnx"}),
        ]:
            with self.subTest(keywords):
                self.same(render_midi(song, **keywords), self.midi(song, *options), str(keywords))
        self.same(
            render_midi(song, instrument={1: Instrument("flute"), 2: MODELS / "violin.onnx"}),
            self.midi(song, "--instrument", "1=flute", "--instrument", "2=violin"),
        )

    def test_midi_from_a_path(self) -> None:
        song = SONGS["one track, running status"]
        expected = self.midi(song)
        path = self.folder / "song.mid"
        for form in (song, path, str(path)):
            self.same(render_midi(form), expected, str(type(form)))


SONGS = {
    "one track, running status": midi_file([[
        (0, [0x90, 69, 100]), (240, [69, 0]), (0, [72, 90]), (240, [72, 0]), (0, [76, 127]), (480, [76, 0]),
    ]]),
    "a chord, a sustain pedal and a late tempo": midi_file([[
        (0, [0xC0, 73]), (0, [0x90, 72, 80]), (0, [0x90, 76, 90]), (0, [0x90, 79, 100]), (120, [0xB0, 64, 127]),
        (120, [0x80, 72, 0]), (0, [0xFF, 0x51, 3, 0x0B, 0x71, 0xB0]), (240, [0x80, 76, 0]), (0, [0x80, 79, 0]),
        (240, [0xB0, 64, 0]),
    ]]),
    "two tracks with programs and controllers": midi_file([
        [(0, [0xFF, 0x51, 3, 0x07, 0xA1, 0x20]), (960, [0xFF, 0x51, 3, 0x06, 0x1A, 0x80])],
        [
            (0, [0xC0, 40]), (0, [0xB0, 7, 90]), (0, [0xB0, 10, 20]), (0, [0x90, 67, 100]), (200, [0xE0, 0, 96]),
            (200, [0xE0, 0, 64]), (80, [0x80, 67, 0]), (0, [0x90, 71, 110]), (100, [0xB0, 1, 100]),
            (380, [0x80, 71, 0]),
        ],
        [
            (0, [0xC1, 57]), (0, [0xB1, 10, 110]), (240, [0x91, 48, 70]), (0, [0xB1, 11, 127]), (120, [0xB1, 11, 60]),
            (360, [0x81, 48, 0]), (0, [0x91, 43, 90]), (0, [0x91, 55, 90]), (480, [0x91, 43, 0]), (0, [0x91, 55, 0]),
        ],
    ]),
    "more notes than voices": midi_file([
        [(0, [0xC0, 42]), *((30, [0x90, 40 + 2 * k, 60 + 4 * k]) for k in range(12)), (480, [0xB0, 123, 0])],
    ]),
}
"""MIDI files by what is in them."""


class Instruments(unittest.TestCase):
    """The embedded instruments."""

    def test_all_seven_by_name(self) -> None:
        found = ddsp_python.instruments()
        self.assertIsInstance(found, list)
        self.assertEqual([instrument.name for instrument in found], INSTRUMENTS)
        self.assertTrue(all(isinstance(instrument, Instrument) for instrument in found))

    def test_they_describe_themselves(self) -> None:
        for instrument in ddsp_python.instruments():
            for text in (instrument.name, instrument.licence, instrument.provenance, instrument.date):
                self.assertIsInstance(text, str)
                self.assertTrue(text.strip())
            self.assertIn("MIT OR Apache-2.0", instrument.licence)
            self.assertRegex(instrument.date, r"^\d{4}-\d\d-\d\d")
            self.assertEqual(instrument.hop_s, 0.01)
            self.assertIn(instrument.name, repr(instrument))
            with self.assertRaises(AttributeError):
                instrument.name = "kazoo"

    def test_ranges_are_those_of_the_model_cards(self) -> None:
        for instrument in ddsp_python.instruments():
            ranges = instrument.ranges
            self.assertEqual(set(ranges), {"f0", "midi", "loudness", "dbfs"})
            card = (MODELS / f"{instrument.name}.md").read_text(encoding="utf-8")
            pitches = re.search(r"\| pitches \| MIDI (\d+) to (\d+) \|", card)
            levels = re.search(r"\| loudness \| (-\d+) to (-\d+) dBFS \|", card)
            # The cards have whole numbers.
            for printed, found in zip(pitches.groups() + levels.groups(), ranges["midi"] + ranges["dbfs"]):
                self.assertAlmostEqual(float(printed), found, delta=0.51)
            self.assertEqual(ranges["loudness"], (0.0, 1.0))
            for hz, note in zip(ranges["f0"], ranges["midi"]):
                self.assertAlmostEqual(hz, 440.0 * 2.0 ** ((note - 69.0) / 12.0), places=6)
            for values in ranges.values():
                self.assertIsInstance(values, tuple)
                self.assertTrue(all(type(value) is float for value in values) and values[0] < values[1])

    def test_the_caller_can_not_change_them(self) -> None:
        Instrument("flute").ranges["f0"] = (0.0, 1.0)
        self.assertNotEqual(Instrument("flute").ranges["f0"], (0.0, 1.0))
        ddsp_python.instruments().clear()
        self.assertEqual(len(ddsp_python.instruments()), 7)


if __name__ == "__main__":
    unittest.main()
