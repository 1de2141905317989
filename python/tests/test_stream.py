"""The client of the DDSP stream, against a running daemon."""

from __future__ import annotations

import asyncio
import unittest

import grooved
from daemon import DaemonTest, free_port

SOON = 60.0


async def soon(awaitable):
    """Waits for what must come."""
    return await asyncio.wait_for(awaitable, SOON)


async def samples(voice, count):
    """Returns the samples of the next frames, as floats of full scale 1."""
    scale = 1.0 if voice.format == "f32" else 1 / 32_768
    return [sample * scale for _ in range(count) for sample in await voice.read()]


def peak(sound):
    return max(abs(sample) for sample in sound)


def pitch(sound, rate, low=60.0, high=1_500.0):
    """Returns the pitch of a sound in Hz: the first lag at which it resembles itself nearly as much as anywhere."""
    window = sound[: rate // 10]
    lags = range(int(rate / high), int(rate / low))
    likeness = [sum(a * b for a, b in zip(window, window[lag:])) / (len(window) - lag) for lag in lags]
    best = max(likeness)
    k = next(
        k
        for k in range(1, len(likeness) - 1)
        if likeness[k] > 0.85 * best and likeness[k - 1] <= likeness[k] >= likeness[k + 1]
    )
    # The top of the parabola through the three values.
    left, middle, right = likeness[k - 1 : k + 2]
    return rate / (lags[k] + 0.5 * (left - right) / (left - 2 * middle + right))


class Streams(DaemonTest):
    def stream(self, **options):
        return grooved.stream(self.daemon.stream_url, timeout=SOON, **options)

    async def refusal(self, awaitable) -> grooved.Refused:
        with self.assertRaises(grooved.Refused) as caught:
            await awaitable
        return caught.exception

    async def test_the_daemon_says_what_it_offers(self) -> None:
        async with self.stream(instrument="cello", frame_ms=10, rate=44_100) as voice:
            info = voice.info
            self.assertEqual((info.format, info.frame, info.frame_ms, info.rate), ("f32", 441, 10, 44_100))
            self.assertEqual((info.mode, info.instrument), ("push", "cello"))
            self.assertEqual((voice.format, voice.instrument), ("f32", "cello"))
            self.assertIn("violin", voice.instruments)
            low, high = voice.ranges["pitch_hz"]
            self.assertTrue(20 < low < high < 20_000)
            softest, loudest = voice.ranges["loudness_dbfs"]
            self.assertTrue(softest < loudest <= 0)

    async def test_push_sends_frames_of_the_format(self) -> None:
        for kind, code, frame_ms, rate, length in [
            ("f32", "f", 20, 48_000, 960),
            ("s16", "h", 20, 48_000, 960),
            # These frames have as many bytes as those that the stream begins with.
            ("f32", "f", 10, 48_000, 480),
            ("s16", "h", 40, 24_000, 960),
        ]:
            async with self.stream(format=kind, frame_ms=frame_ms, rate=rate) as voice:
                for _ in range(10):
                    frame = await voice.read()
                    self.assertEqual((frame.typecode, len(frame)), (code, length))
                    self.assertEqual(set(frame), {0}, "silent until something is played")
                await voice.play([440.0], 0.8)
                count = 0
                async for frame in voice:
                    count += 1
                    self.assertEqual((frame.typecode, len(frame)), (code, length))
                    if count >= 25 and max(frame) > 0:
                        break

    async def test_the_pitch_is_the_one_that_was_asked_for(self) -> None:
        for mode, kind, rate, hz in [
            ("pull", "f32", 48_000, 440.0),
            ("pull", "s16", 44_100, 330.0),
            ("push", "f32", 48_000, 550.0),
        ]:
            async with self.stream(mode=mode, format=kind, rate=rate) as voice:
                await voice.play(hz, 0.8)
                sound = (await samples(voice, 25))[-rate // 5 :]
                self.assertGreater(peak(sound), 0.01)
                self.assertAlmostEqual(pitch(sound, rate) / hz, 1.0, delta=0.01)

    async def test_pull_renders_each_frame_when_it_is_read(self) -> None:
        async with self.stream(mode="pull", frame_ms=50) as voice:
            self.assertEqual(peak(await samples(voice, 3)), 0.0)
            await voice.play([220.0, 330.0], [0.8, 0.4])
            await voice.set(pitch_shift=12, gain=0.5)
            sound = await samples(voice, 10)
            self.assertEqual(len(sound), 10 * 2_400)
            self.assertGreater(peak(sound[:2_400]), 0.0, "the first frame after a change has it")
            await voice.play([])
            await samples(voice, 1)
            self.assertEqual(peak(await samples(voice, 1)), 0.0)

    async def test_notes_begin_and_end(self) -> None:
        async with self.stream(mode="pull") as voice:
            await voice.note_on(69, 110)
            sound = await samples(voice, 25)
            self.assertAlmostEqual(pitch(sound[-9_600:], 48_000) / 440.0, 1.0, delta=0.01)
            await voice.note_off(69)
            await samples(voice, 100)
            self.assertEqual(peak(await samples(voice, 1)), 0.0)

    async def test_changes_are_scheduled(self) -> None:
        async with self.stream(mode="pull", frame_ms=10) as voice:
            await voice.play(440, 0.8, at=100)
            await voice.note_on(80, at=50_000)
            sound = await samples(voice, 30)
            self.assertEqual(peak(sound[: 9 * 480]), 0.0)
            self.assertGreater(peak(sound[12 * 480 :]), 0.01)
            await voice.set(reset=True)
            await samples(voice, 10)
            self.assertEqual(peak(await samples(voice, 5)), 0.0)

    async def test_wrong_changes_are_refused_at_once(self) -> None:
        async with self.stream() as voice:
            for change, argument in [
                ({"pitch_shift": 99}, "pitch_shift"),
                ({"instrument": "kazoo"}, "instrument"),
                ({"loudness": []}, "loudness"),
                ({"monitor": True}, "monitor"),
                ({"instrument": "flute", "at": 10}, "at"),
            ]:
                refused = await self.refusal(voice.set(**change))
                self.assertEqual((refused.argument, refused.path), (argument, None))
                self.assertTrue(str(refused).startswith(argument), refused)
            self.assertEqual((await self.refusal(voice.note_on(200))).argument, "note")
            results = await asyncio.gather(
                *(voice.set(gain=gain) for gain in (1, 9, 1, 9)), return_exceptions=True
            )
            self.assertEqual([isinstance(result, grooved.Refused) for result in results], [False, True, False, True])
            with self.assertRaises(TypeError):
                await voice.set(pich_shift=1)
            with self.assertRaises(ValueError):
                await voice.play([float("nan")])
            await voice.set(instrument="flute")
            self.assertEqual(voice.instrument, "flute")
            await voice.read()

    async def test_wrong_changes_are_refused_by_the_next_read_of_pull(self) -> None:
        async with self.stream(mode="pull") as voice:
            await voice.play(440, 0.8)
            await voice.set(pitch_shift=99)
            self.assertEqual((await self.refusal(voice.read())).argument, "pitch_shift")
            self.assertEqual(peak(await samples(voice, 3)), 0.0, "none of the changes was applied")
            await voice.play(440, 0.8)
            self.assertGreater(peak(await samples(voice, 3)), 0.0)
            await voice.set(instrument="flute")
            await voice.read()
            self.assertEqual(voice.instrument, "flute")

    async def test_a_cancelled_read_of_pull_loses_nothing(self) -> None:
        async with self.stream(mode="pull", frame_ms=10) as voice:
            await voice.play(440, 0.8, at=100)
            reading = asyncio.ensure_future(voice.read())
            await asyncio.sleep(0)
            reading.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await reading
            peaks = [peak(await samples(voice, 1)) for _ in range(20)]
            self.assertEqual([value > 0 for value in peaks], [False] * 10 + [True] * 10)

    async def test_frames_that_are_not_read_are_dropped_and_counted(self) -> None:
        async with self.stream(frame_ms=2) as voice:
            while not voice.dropped:
                await asyncio.sleep(0.05)
            # Changes are confirmed all the same.
            await voice.play(440)
            await voice.read()

    async def test_remarks_are_logged(self) -> None:
        async with self.stream() as voice:
            with self.assertLogs("grooved", "WARNING") as logged:
                await voice.play([100.0 * k for k in range(1, 13)])
            self.assertIn("12 pitches for 8 voices", logged.output[0])

    async def test_two_streams_are_independent(self) -> None:
        async with self.stream(mode="pull") as one, self.stream(mode="pull", instrument="cello") as other:
            await one.play(440, 0.8)
            self.assertGreater(peak(await samples(one, 5)), 0.0)
            self.assertEqual(peak(await samples(other, 5)), 0.0)

    async def test_a_wrong_stream_is_refused(self) -> None:
        for options, argument in [
            ({"instrument": "kazoo"}, "instrument"),
            ({"rate": 1}, "rate"),
            ({"frame_ms": 0}, "frame_ms"),
        ]:
            for mode in ("push", "pull"):
                with self.assertRaises(grooved.Refused) as caught:
                    async with self.stream(mode=mode, **options):
                        pass
                self.assertEqual(caught.exception.argument, argument)
        for options in ({"format": "mp3"}, {"mode": "both"}, {"url": "ftp://x"}):
            with self.assertRaises(ValueError):
                grooved.stream(**options)
        with self.assertRaisesRegex(RuntimeError, "async with"):
            await self.stream().read()

    async def test_a_closed_stream_says_so(self) -> None:
        voice = await self.stream()
        await voice.read()
        await voice.close()
        with self.assertRaises(grooved.Closed) as caught:
            async for _ in voice:
                pass
        self.assertEqual(caught.exception.code, 1000)
        with self.assertRaises(grooved.Closed):
            await voice.play(440)


class Endings(DaemonTest):
    async def test_everything_ends_with_a_daemon_that_is_killed(self) -> None:
        daemon = self.another()
        push = await grooved.stream(daemon.stream_url, timeout=SOON)
        pull = await grooved.stream(daemon.stream_url, timeout=SOON, mode="pull")
        self.addAsyncCleanup(push.close)
        self.addAsyncCleanup(pull.close)
        daemon.freeze()
        waiting = [asyncio.ensure_future(one) for one in (push.play(440), push.set(gain=1), pull.read())]
        await asyncio.sleep(0.1)
        daemon.kill()
        for one in waiting:
            with self.assertRaises(grooved.Closed) as caught:
                await soon(one)
            self.assertEqual(caught.exception.code, 1006)
        with self.assertRaises(grooved.Closed):
            async for _ in push:
                pass
        with self.assertRaises(grooved.Closed):
            await pull.read()

    async def test_a_shutdown_is_announced(self) -> None:
        daemon = self.another()
        async with grooved.stream(daemon.stream_url, timeout=SOON) as voice:
            daemon.stop()
            with self.assertRaises(grooved.Closed) as caught:
                async for _ in voice:
                    pass
            self.assertEqual((caught.exception.code, caught.exception.reason), (1001, "grooved is shutting down"))

    async def test_a_daemon_that_does_not_answer_is_timed_out(self) -> None:
        daemon = self.another()
        async with grooved.stream(daemon.stream_url, timeout=SOON, mode="pull", frame_ms=10) as voice:
            await voice.play(440, 0.8, at=100)
            daemon.freeze()
            voice.timeout = 0.2
            for _ in range(3):
                with self.assertRaises(grooved.TimedOut):
                    await voice.read()
            daemon.thaw()
            voice.timeout = SOON
            peaks = [peak(await samples(voice, 1)) for _ in range(20)]
            self.assertEqual([value > 0 for value in peaks], [False] * 10 + [True] * 10, "no frame is lost")

    async def test_a_wrong_address_is_explained(self) -> None:
        for port, expected in [
            (free_port(), "connection refused; is grooved running there"),
            (self.daemon.http_port, "answer.* within 0.5 s"),
        ]:
            with self.assertRaisesRegex(grooved.Unreachable, expected):
                async with grooved.stream(f"127.0.0.1:{port}", timeout=0.5):
                    pass

    async def test_a_daemon_without_places_or_instruments_says_so(self) -> None:
        daemon = self.another({"ddsp": 'models = "/nowhere"\nclients = 1\ninstrument = "violin"'})
        with self.assertRaisesRegex(grooved.Closed, "1011: .*violin"):
            async with grooved.stream(daemon.stream_url, timeout=SOON):
                pass
        full = self.another()
        full.kill()
        full.settings["ddsp"] += "\nclients = 1"
        full.start()
        async with grooved.stream(full.stream_url, timeout=SOON):
            with self.assertRaises(grooved.Unreachable) as caught:
                async with grooved.stream(full.stream_url, timeout=SOON):
                    pass
            self.assertEqual(caught.exception.status, 503)
            self.assertIn("ddsp.clients", caught.exception.message)


if __name__ == "__main__":
    unittest.main()
