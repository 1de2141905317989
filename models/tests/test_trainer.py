"""The pipeline, on notes made here: `make test-models`."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import soundfile

MODELS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(MODELS))

from trainer import analysis, contract, graph, level, loss, material, measure, net, pitch, recordings, running, sequence, synth, train  # noqa: E402
from trainer.errors import Unusable  # noqa: E402

RATE = contract.SAMPLE_RATE


def note(midi, seconds=1.2, partials=12, breath=0.003, gain=0.2, seed=0, vibrato=0.0):
    """A note by the textbook: partials of 1/k with an attack and a release, and white breath. No code of the trainer."""
    random = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    hz = 440.0 * 2 ** ((midi - 69 + vibrato * np.sin(2 * np.pi * 5.5 * t)) / 12)
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    envelope = np.minimum(1.0, t / 0.05) * np.minimum(1.0, (seconds - t) / 0.15)
    tone = sum(np.sin(k * phase) / k for k in range(1, partials + 1) if k * hz.max() < RATE / 2)
    return (gain * (tone / 2 + breath / gain * random.uniform(-1, 1, len(t))) * envelope).astype(np.float32)


def silence(seconds=0.1):
    return np.zeros(int(seconds * RATE), np.float32)


def folder_of_notes(folder, pitches=range(57, 75), **how):
    for i, midi in enumerate(pitches):
        names = ["C", "Cs", "D", "Ds", "E", "F", "Fs", "G", "Gs", "A", "As", "B"]
        for dynamic, gain in (("piano", 0.05), ("forte", 0.25)):
            sound = np.concatenate([silence(), note(midi, gain=gain, seed=i, **how), silence()])
            soundfile.write(Path(folder) / f"test_{names[midi % 12]}{midi // 12 - 1}_1_{dynamic}_normal.wav", sound, RATE)


class Names(unittest.TestCase):
    def test_notes_and_dynamics_are_read_from_names(self):
        for stem, midi, dynamic in (
            ("flute_A4_1_forte_normal", 69, "f"), ("cello_As2_025_pianissimo_arco-normal", 46, "pp"), ("Bb3 mf", 58, "mf"),
            ("C#5", 73, None), ("my take 3", None, None), ("trombone_E1_very-long_cresc-decresc_normal", 28, "swell"),
            ("from C4 to G4", None, None),
        ):
            self.assertEqual(recordings.note_named(stem), midi, stem)
            self.assertEqual(recordings.dynamic_named(stem), dynamic, stem)


class BadInput(unittest.TestCase):
    """Each gets one clear line and a way forward."""

    def prepare(self, folder):
        remarks = []
        try:
            material.prepare(folder, 16, remarks.append)
        except Unusable as why:
            remarks.append(str(why))
        for line in remarks:
            self.assertNotIn("\n", line)
        return remarks

    def test_a_folder_that_is_not_there_or_empty(self):
        self.assertIn("there is no folder /nowhere", self.prepare("/nowhere")[-1])
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn("put WAV, FLAC", self.prepare(folder)[-1])

    def test_speech(self):
        with tempfile.TemporaryDirectory() as folder:
            for i in range(4):
                t = np.arange(20 * RATE) / RATE
                bend = 5 * np.sin(2 * np.pi * 1.7 * t + i) + 3 * np.sin(2 * np.pi * 3.1 * t)
                phase = 2 * np.pi * np.cumsum(140 * 2 ** (bend / 12)) / RATE
                syllables = np.maximum(0, np.sin(2 * np.pi * 4 * t)) ** 0.5
                voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * syllables * 0.1
                soundfile.write(Path(folder) / f"talk{i}.wav", voice, RATE)
            self.assertIn("record single notes of one instrument", self.prepare(folder)[-1])

    def test_stereo_slow_corrupt_and_silent_files_are_named_and_the_rest_is_used(self):
        with tempfile.TemporaryDirectory() as folder:
            folder_of_notes(folder, range(48, 75))
            both = np.stack([note(60), note(60)], axis=1)
            soundfile.write(Path(folder) / "a C4 f.wav", both, RATE)
            soundfile.write(Path(folder) / "slow_C4.wav", note(60)[::6], 8000)
            soundfile.write(Path(folder) / "silent_C4.wav", silence(2.0), RATE)
            (Path(folder) / "broken_C4.wav").write_bytes(b"RIFF\0\0\0\0WAVEnothing")
            said = self.prepare(folder)
            self.assertTrue(any("slow_C4.wav" in s and "44100 or 48000" in s for s in said), said)
            self.assertTrue(any("broken_C4.wav" in s and "export it again" in s for s in said), said)
            self.assertTrue(any("silent_C4.wav" in s and "record it again" in s for s in said), said)
            self.assertTrue(any("channels are averaged" in s for s in said), said)
            self.assertFalse(any("can't be learnt" in s or "record more" in s for s in said), said)

    def test_too_little(self):
        with tempfile.TemporaryDirectory() as folder:
            folder_of_notes(folder, range(60, 63))
            self.assertIn("record more notes", self.prepare(folder)[-1])

    def test_the_command_ends_with_that_line_and_no_traceback(self):
        done = subprocess.run(
            [sys.executable, "-m", "trainer", "mine", "--recordings", "/nowhere", "--work", tempfile.mkdtemp()],
            env={"PYTHONPATH": str(MODELS), "PATH": "/usr/bin"}, capture_output=True, text=True)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stderr.strip().count("\n"), 0, done.stderr)
        self.assertIn("/nowhere", done.stderr)


class Measuring(unittest.TestCase):
    def test_pitch_is_right_to_two_cents_also_with_vibrato(self):
        for midi, vibrato in ((40, 0.0), (69, 0.0), (69, 0.3), (93, 0.2)):
            found, clarity = pitch.track(note(midi, vibrato=vibrato, seconds=2.0), midi + 0.4)
            at = np.arange(len(found)) * contract.HOP / RATE
            true = midi + vibrato * np.sin(2 * np.pi * 5.5 * at)
            middle = slice(20, -30)
            # A window smooths the vibrato a little.
            self.assertLess(np.abs(found - true)[middle].max(), 0.02 + 0.35 * vibrato)
            self.assertLess(abs(np.mean(found[middle] - true[middle])), 0.02)

    def test_partials_and_noise_come_out_as_they_were_put_in(self):
        sound = note(60, seconds=2.0, breath=0.01, gain=0.2)
        midi, _ = pitch.track(sound, 60.0)
        amplitudes, noise = analysis.controls(sound, midi, 12)
        middle = slice(50, 150)
        for k in range(12):
            db = 20 * np.log10(np.median(amplitudes[middle, k]) / (0.1 / (k + 1)))
            self.assertLess(abs(db), 0.3, f"partial {k + 1}: {db} dB off")
        db = 20 * np.log10(np.exp(np.log(noise[middle, 20:60]).mean()) / 0.01)
        self.assertLess(abs(db), 1.0, f"noise: {db} dB off")

    def test_what_was_measured_sounds_as_the_note_did(self):
        sound = note(64, seconds=2.0, vibrato=0.2)
        midi, _ = pitch.track(sound, 64.0)
        made = synth.render(midi, *analysis.controls(sound, midi, 16))
        count = min(len(made), len(sound))
        # Nearly as near as the same note with another breath can be, and far nearer than another note.
        again = loss.distance_db(note(64, seconds=2.0, vibrato=0.2, seed=9)[:count], sound[:count])
        found = loss.distance_db(made[:count], sound[:count])
        other = loss.distance_db(note(67, seconds=2.0, vibrato=0.2, seed=9)[:count], sound[:count])
        self.assertLess(found, again + 1.0)
        self.assertLess(found, other - 0.5)

    def test_dynamics_are_put_back_where_they_were_evened_out(self):
        marks = ["pp"] * 6 + ["f"] * 6
        evened = level.gains_db([-24.0] * 12, marks, lambda line: None)
        self.assertAlmostEqual(evened[-1] - evened[0], 15.0)
        natural = level.gains_db([-40.0] * 6 + [-25.0] * 6, marks, lambda line: None)
        self.assertAlmostEqual(natural[-1] - natural[0], 0.0)

    def test_all_recordings_of_a_pair_are_in_one_part(self):
        parts = {material.part_of(69.0, "f", name) for name in "abcdef"}
        self.assertEqual(len(parts), 1)


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder_of_notes(cls.folder.name, range(48, 75))
        cls.material = material.prepare(cls.folder.name, 16, lambda line: None)
        cls.shape = net.Shape(16, 8, 48.0, 74.0)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_what_is_kept_on_disk_comes_back(self):
        with tempfile.TemporaryDirectory() as work:
            material.keep(self.material, Path(work) / "notes.npz")
            back = material.kept(Path(work) / "notes.npz", 16)
            self.assertEqual([n.name for n in back.notes], [n.name for n in self.material.notes])
            np.testing.assert_array_equal(back.notes[3].amplitudes, self.material.notes[3].amplitudes)
            self.assertIsNone(material.kept(Path(work) / "notes.npz", 32))

    def test_phrases_hold_sound_and_controls_that_belong_together(self):
        composer = sequence.Composer(self.material.of("train"))
        composer.seed(5)
        for _ in range(6):
            midi, loudness, amplitudes, noise, sound = composer.phrase(150)
            made = synth.render(midi * 127.0, amplitudes, noise)
            both = 20 * np.log10(np.sqrt(np.mean(made**2) + 1e-12) / np.sqrt(np.mean(sound[: len(made)] ** 2) + 1e-12))
            self.assertLess(abs(both), 1.5)
            self.assertEqual(loudness.shape, (150,))

    def test_a_stopped_training_goes_on_as_if_it_had_not_been_stopped(self):
        stages = train.stages_of(16)

        def run(folder, stop_after=None):
            trainer = train.Trainer(self.material, self.shape, folder, lambda line: None, stages)
            if stop_after:
                saved = trainer.save

                def save_then_stop():
                    saved()
                    if (trainer.stage, trainer.step) == stop_after:
                        raise KeyboardInterrupt

                trainer.save = save_then_stop
            return net.as_arrays(trainer.run())

        with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as parts:
            wanted = run(whole)
            for stop in ((0, 6), (1, 1)):
                with self.assertRaises(KeyboardInterrupt):
                    run(parts, stop)
            found = run(parts)
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])

    def test_the_file_computes_what_was_trained(self):
        import torch

        trained = net.Decoder(self.shape, 3)
        sizes = {"sample_rate": RATE, "hop": 480, "harmonics": 16, "noise_bands": 65, "state": 8}
        described = contract.metadata(**sizes, **{k: "x" for k in (
            "instrument", "pitch_range", "loudness_range", "loudness_map", "licence", "provenance", "date", "figures")})
        at_work = running.Running(graph.instrument(self.shape, net.as_arrays(trained), described).SerializeToString())
        random = np.random.default_rng(1)
        midi, loudness = random.uniform(40, 80, 100), random.uniform(0.2, 1.1, 100)
        found = np.concatenate(at_work.controls(midi, loudness), axis=1)
        with torch.no_grad():
            p, l = (torch.as_tensor(x, dtype=torch.float32)[None] for x in (midi / 127, loudness))
            wanted = np.concatenate([x[0].numpy() for x in trained.controls(trained(p, l)[0], l)], axis=1)
        np.testing.assert_allclose(found, wanted, atol=1e-6)

    def test_training_comes_nearer_to_the_notes(self):
        with tempfile.TemporaryDirectory() as work:
            trainer = train.Trainer(self.material, self.shape, work, lambda line: None, train.stages_of(160))
            valid = self.material.of("valid")
            before = np.mean([trainer.judged(n, trainer.stages[0]) for n in valid])
            trainer.run()
            after = min(now for stage, _, _, now in trainer.history if stage == 0)
            self.assertLess(after, 0.85 * before)


if __name__ == "__main__":
    unittest.main()
