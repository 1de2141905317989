"""`DDSPProcessor.process_midi`: notes, envelope, bend, and malformed events."""

from __future__ import annotations

import array
import unittest

import numpy as np
from ddsp_python import DDSPProcessor

from test_ddsp_support import cents, level, pitch

NOTE_OFF, NOTE_ON, BEND = 0x80, 0x90, 0xE0


def envelope(hops: int, released: int) -> list[float]:
    """Returns the envelope at the end of each hop of 10 ms, of a note that is released at the start of hop `released`.

    Attack 10 ms, decay 100 ms, sustain 0.7, release 200 ms, all linear.
    """
    values, value = [], 0.0
    for hop in range(hops):
        if hop < released:
            value = 1.0 if hop == 0 else max(0.7, value - 0.03)
            level_at_release = value
        else:
            value = max(0.0, level_at_release * (1.0 - (hop - released + 1) / 20.0))
        values.append(value if value > 1e-9 else 0.0)
    return values


class Midi(unittest.TestCase):
    """`process_midi`: a monophonic voice with an envelope."""

    def setUp(self) -> None:
        self.processor = DDSPProcessor("clarinet", 48000.0, 480)

    def sound(self, *events: list[int], hops: int = 1) -> np.ndarray:
        """Returns some hops of sound as whole numbers; the events are at their start."""
        frames = [self.processor.process_midi(list(events))]
        frames += [self.processor.process_midi([]) for _ in range(hops - 1)]
        return np.frombuffer(b"".join(frames), dtype="<i2").astype(np.int64)

    def pitch_after(self, *events: list[int]) -> float:
        """Returns the pitch that sounds 0.2 s after some events."""
        return pitch(self.sound(*events, hops=60)[9600:], 48_000)

    def near(self, hz: float, note: float) -> None:
        """Asserts that a frequency is that of a note."""
        self.assertLess(abs(cents(hz, 440.0 * 2.0 ** ((note - 69.0) / 12.0))), 3.0)

    def test_a_note_has_the_documented_envelope(self) -> None:
        for note, velocity, length in [(69, 127, 30), (60, 80, 5), (74, 40, 1)]:
            with self.subTest(f"note {note}, velocity {velocity}, {10 * length} ms"):
                self.processor = DDSPProcessor("clarinet", 48000.0, 480)
                steps = envelope(length + 25, length)
                found = np.concatenate(
                    [self.sound([NOTE_ON, note, velocity], hops=length), self.sound([NOTE_OFF, note, 0], hops=25)]
                )
                played = DDSPProcessor("clarinet", 48000.0, 480)
                hz = 440.0 * 2.0 ** ((note - 69) / 12.0)
                expected = b"".join(played.process(hz, velocity / 127.0 * step) for step in steps)
                np.testing.assert_allclose(found, np.frombuffer(expected, dtype="<i2"), atol=1)
                self.assertTrue(np.any(found))

    def test_attack_and_release_are_heard_at_their_times(self) -> None:
        self.processor.set_noise_gain(0.0)
        held_note = self.sound([NOTE_ON, 69, 127], hops=50)
        self.assertTrue(np.any(held_note[:480]), "it sounds within the first 10 ms")
        fading = self.sound([NOTE_OFF, 69, 64], hops=40)
        last = int(np.flatnonzero(fading)[-1])
        self.assertTrue(190 <= last / 48.0 <= 200, f"the release ends after {last / 48.0:.1f} ms; expected 200 ms")
        levels = [level(fading[k * 960 : (k + 1) * 960]) for k in range(10)]
        self.assertEqual(levels, sorted(levels, reverse=True))

    def test_a_held_note_is_sustained_at_seven_tenths(self) -> None:
        sustained = level(self.sound([NOTE_ON, 69, 127], hops=100)[24_000:])
        steady = DDSPProcessor("clarinet", 48000.0, 480)
        frames = [steady.process(440.0, 0.7) for _ in range(100)]
        expected = level(np.frombuffer(b"".join(frames), dtype="<i2")[24_000:])
        self.assertAlmostEqual(sustained, expected, delta=0.1)

    def test_blocks_of_two_hops_give_the_same_sound(self) -> None:
        found = self.sound([NOTE_ON, 69, 100], hops=40)
        self.processor = DDSPProcessor("clarinet", 48000.0, 960)
        self.assertEqual(list(self.sound([NOTE_ON, 69, 100], hops=20)), list(found))

    def test_pitch_is_that_of_the_note(self) -> None:
        for note in (55, 69, 84):
            self.near(self.pitch_after([NOTE_ON, note, 100]), note)

    def test_only_the_sounding_note_ends_the_sound(self) -> None:
        self.near(self.pitch_after([NOTE_ON, 60, 100]), 60)
        self.near(self.pitch_after([NOTE_ON, 67, 100]), 67)
        # The older server fell silent with any note-off.
        self.near(self.pitch_after([NOTE_OFF, 60, 0]), 67)
        self.near(self.pitch_after([NOTE_OFF, 64, 0]), 67)
        self.sound([NOTE_OFF, 67, 0], hops=30)
        self.assertFalse(np.any(self.sound(hops=10)))

    def test_the_last_of_several_notes_sounds(self) -> None:
        self.near(self.pitch_after([NOTE_ON, 60, 100], [NOTE_ON, 64, 100], [NOTE_ON, 67, 100]), 67)
        # A note that was displaced does not return.
        self.sound([NOTE_OFF, 67, 0], hops=30)
        self.assertFalse(np.any(self.sound(hops=10)))

    def test_a_note_can_be_repeated(self) -> None:
        self.near(self.pitch_after([NOTE_ON, 69, 100]), 69)
        self.near(self.pitch_after([NOTE_OFF, 69, 0], [NOTE_ON, 69, 100]), 69)
        self.near(self.pitch_after([NOTE_ON, 69, 100]), 69)

    def test_a_velocity_of_zero_is_a_note_off(self) -> None:
        self.sound([NOTE_ON, 69, 100], hops=20)
        self.sound([NOTE_ON, 69, 0], hops=30)
        self.assertFalse(np.any(self.sound(hops=10)))

    def test_a_note_that_ends_where_it_begins_fades(self) -> None:
        self.sound([NOTE_ON, 69, 100], [NOTE_OFF, 69, 0], hops=30)
        self.assertFalse(np.any(self.sound(hops=10)))

    def test_velocity_is_loudness(self) -> None:
        levels = []
        for velocity in (20, 60, 100, 127):
            self.processor.reset()
            levels.append(level(self.sound([NOTE_ON, 69, velocity], hops=60)[14_400:]))
        self.assertEqual(levels, sorted(levels))
        self.assertGreater(levels[-1], levels[0] + 6.0)

    def test_bend_reaches_two_semitones(self) -> None:
        self.sound([NOTE_ON, 69, 100])
        for low, high, semitones in [
            (0, 64, 0.0), (0, 0, -2.0), (0, 32, -1.0), (0, 96, 1.0), (127, 127, 2.0 * 8191 / 8192), (0, 64, 0.0),
        ]:
            with self.subTest(f"{semitones:+.2f}"):
                self.near(self.pitch_after([BEND, low, high]), 69 + semitones)
        self.sound([BEND, 0, 96], [NOTE_OFF, 69, 0], hops=50)
        self.near(self.pitch_after([NOTE_ON, 60, 100]), 61)

    def test_the_other_setters_apply_too(self) -> None:
        self.processor.set_pitch_shift(5.0)
        self.near(self.pitch_after([NOTE_ON, 60, 100]), 65)
        self.processor.set_harmonic_gain(0.0)
        self.processor.set_noise_gain(0.0)
        self.sound(hops=10)
        self.assertFalse(np.any(self.sound(hops=10)))

    def test_reset_silences(self) -> None:
        self.sound([NOTE_ON, 69, 100], hops=20)
        self.processor.reset()
        self.assertFalse(np.any(self.sound(hops=10)))

    def test_silence_is_exact_before_the_first_note(self) -> None:
        self.assertFalse(np.any(self.sound(hops=10)))

    def test_all_kinds_of_sequences_are_events(self) -> None:
        expected = list(self.sound([0x93, 69, 100], hops=5))
        for events in [
            [(0x93, 69, 100)], ((0x93, 69, 100),), np.array([[0x93, 69, 100]]), iter([[0x93, 69, 100]]),
            [bytes([0x93, 69, 100])], [array.array("B", [0x93, 69, 100])],
        ]:
            self.processor.reset()
            first = self.processor.process_midi(events)
            found = [*np.frombuffer(first, dtype="<i2"), *self.sound(hops=4)]
            self.assertEqual(found, expected, type(events))

    def test_other_messages_change_nothing(self) -> None:
        expected = list(self.sound([NOTE_ON, 69, 100], hops=20))
        self.processor.reset()
        self.sound()
        self.processor.reset()
        others = [[0xC0, 5, 0], [0xC0, 5], [0xA0, 69, 50], [0xD0, 50], [0xF8], [0xFE, 0, 0], [0xF0, 1, 2],
                  [60, 100, 0]]
        found = self.sound([NOTE_ON, 69, 100], *others, hops=10)
        self.assertEqual([*found, *self.sound(*others, hops=10)], expected)

    def test_data_out_of_range_is_held(self) -> None:
        expected = list(self.sound([NOTE_ON, 69, 127], hops=20))
        self.processor.reset()
        self.assertEqual(list(self.sound([NOTE_ON, 69, 300], hops=20)), expected)

    def test_data_that_is_missing_is_zero(self) -> None:
        self.sound([NOTE_ON, 69, 100], hops=20)
        self.sound([NOTE_ON, 69], hops=30)
        self.assertFalse(np.any(self.sound(hops=10)), "a velocity of 0 ends the note")

    def test_malformed_events_are_refused_as_a_whole(self) -> None:
        for events in [5, None, [5], ["abc"], [["a", 1, 2]], [[NOTE_ON, 69.5, 100]], [[NOTE_ON, None, 100]], [None],
                       [[]], [[NOTE_ON, 69, 100, 0]], [[256, 69, 100]], [[-1, 69, 100]], [[NOTE_ON, 2**70, 100]]]:
            with self.subTest(events), self.assertRaises(TypeError):
                self.processor.process_midi(events)
        with self.assertRaisesRegex(TypeError, r"events\[1\]"):
            self.processor.process_midi([[NOTE_ON, 69, 100], [NOTE_ON, "x", 1]])
        self.assertFalse(np.any(self.sound(hops=10)), "nothing of it has been applied")


if __name__ == "__main__":
    unittest.main()
