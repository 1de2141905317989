"""The client of the WebSocket API, against a running daemon."""

from __future__ import annotations

import asyncio
import contextlib
import os
import unittest
from pathlib import Path
from unittest import mock

import grooved
from daemon import DaemonTest, free_port
from grooved.address import Address, complete
from grooved.subscription import MOST_QUEUED

# What is not compared with a time must happen within this one, in seconds; slow machines have it all.
SOON = 60.0


async def soon(awaitable):
    """Waits for what must come."""
    return await asyncio.wait_for(awaitable, SOON)


async def until(updates, wanted):
    """Returns the first update that is wanted, and all that came before it."""
    before = []
    while True:
        update = await soon(updates.__anext__())
        if wanted(update):
            return update, before
        before.append(update)


def is_event(path):
    return lambda update: isinstance(update, grooved.Event) and update.path == path


def is_state(path, values):
    return lambda update: isinstance(update, grooved.State) and update.values.get(path, ()) == values


def is_gap(update):
    return isinstance(update, grooved.Gap)


class Relay:
    """A TCP relay to the daemon whose connections can be cut."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Relay:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self.server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def _serve(self, reader, writer) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        self.writers += [writer, back]
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))

    async def _copy(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()


class Addresses(unittest.TestCase):
    def test_what_is_missing_is_filled_in(self) -> None:
        for text, url, token in [
            ("ws://appliance", "ws://appliance:8080/api/ws", None),
            ("appliance", "ws://appliance:8080/api/ws", None),
            ("appliance:81", "ws://appliance:81/api/ws", None),
            ("192.168.1.5", "ws://192.168.1.5:8080/api/ws", None),
            ("[::1]", "ws://[::1]:8080/api/ws", None),
            ("http://appliance:8080", "ws://appliance:8080/api/ws", None),
            ("http://appliance:8080/?token=a%20b", "ws://appliance:8080/api/ws", "a b"),
            ("https://desk.example", "wss://desk.example:443/api/ws", None),
            ("wss://desk.example/stage/api/ws?x=1&token=t", "wss://desk.example:443/stage/api/ws?x=1", "t"),
        ]:
            self.assertEqual(complete(text, 8080, "/api/ws"), Address(url, token), text)

    def test_what_is_no_address_is_refused(self) -> None:
        for text in ["ftp://appliance", "ws://", "", "appliance:port", "appliance:99999"]:
            with self.assertRaisesRegex(ValueError, "expected a host or a URL", msg=text):
                grooved.connect(text)
        with self.assertRaisesRegex(ValueError, "timeout is 0"):
            grooved.connect("appliance", timeout=0)


class Requests(DaemonTest):
    async def asyncSetUp(self) -> None:
        self.show = await grooved.connect(self.daemon.url, timeout=SOON)
        self.addAsyncCleanup(self.show.close)

    async def refusal(self, awaitable) -> grooved.Refused:
        with self.assertRaises(grooved.Refused) as caught:
            await awaitable
        return caught.exception

    async def test_values_are_set_and_read(self) -> None:
        await self.show.set("/groove/master", 0.5)
        self.assertEqual(await self.show.get("/groove/master"), 0.5)
        await self.show.set("/groove/crossfade", 0.25, "linear")
        self.assertEqual(await self.show.get("/groove/crossfade"), (0.25, "linear"))
        await self.show.set("/groove/beats_per_bar", 3)
        self.assertIs(type(await self.show.get("/groove/beats_per_bar")), int)
        await self.show.set("/groove/deck/a/formants", True)
        self.assertEqual(await self.show.get("/groove/deck/a/formants"), 1)

    async def test_wildcards_match_several(self) -> None:
        await self.show.set("/groove/deck/b/level", 0.5)
        levels = await self.show.get("/groove/deck/*/level")
        self.assertEqual(sorted(levels), [f"/groove/deck/{deck}/level" for deck in "abcd"])
        self.assertEqual(levels["/groove/deck/b/level"], 0.5)
        self.assertEqual(await self.show.get("/groove/deck/?/level"), levels)
        tempo = await self.show.get("/status/tempo")
        self.assertEqual(len(tempo), 2)

    async def test_calls_answer_with_messages(self) -> None:
        name = self.daemon.tone("call.wav")
        (loaded,) = await self.show.call("/groove/stem/load", 100, Path(name))
        self.assertEqual((loaded.path, loaded.values[:2]), ("/groove/stem/load", (100, 2.0)))
        self.assertEqual(await self.show.call("/groove/stem/unload", 100), ())
        (synced,) = await self.show.call("/groove/sync", 7, "x")
        self.assertEqual(synced, grooved.Message("/synced", (7, "x")))
        paths = [message.path for message in await self.show.call("/groove/status")]
        self.assertIn("/status/tempo", paths)

    async def test_controls_describe_themselves(self) -> None:
        level = await self.show.describe("/groove/deck/a/level")
        self.assertIsInstance(level, grooved.Control)
        self.assertEqual(level.path, "/groove/deck/{deck}/level")
        self.assertTrue(level.has_value)
        deck, gain, seconds = level.arguments
        self.assertEqual((deck.type, deck.choices, deck.in_path), ("choice", ("a", "b", "c", "d"), True))
        self.assertEqual((gain.type, gain.range, gain.unit, gain.optional), ("number", (0.0, 4.0), "linear", False))
        self.assertEqual((seconds.unit, seconds.optional, seconds.default), ("s", True, None))
        self.assertIn(level.doc, str(level))
        with self.assertRaises(AttributeError):
            level.path = "/other"
        play = await self.show.describe("/groove/stem/play")
        self.assertEqual([a.default for a in play.arguments], [None, 1.0, 0.8, 1, 0.0])
        self.assertEqual([a.optional for a in play.arguments], [False, True, True, True, True])
        self.assertEqual((await self.show.describe("/set_tempo")).same_as, "/groove/tempo")
        event = await self.show.describe("/event/stem/started")
        self.assertIsInstance(event, grooved.Stream)
        self.assertEqual(event.fields, ("id", "name", "deck"))
        self.assertIsNone((await self.refusal(self.show.describe("/groove/mastr"))).argument)

    async def test_all_controls_are_listed(self) -> None:
        everything = await self.show.list()
        for declaration in everything:
            self.assertTrue(declaration.path.startswith("/") and declaration.doc and str(declaration), declaration)
        paths = [declaration.path for declaration in await self.show.list("/groove/deck/*/level")]
        self.assertEqual(paths, ["/groove/deck/{deck}/level"])
        meters = await self.show.list("/meter/*")
        self.assertEqual({type(meter) for meter in meters}, {grooved.Stream})
        self.assertEqual(await self.show.list("/nothing/*"), ())

    async def test_refusals_name_the_argument(self) -> None:
        await self.show.set("/groove/master", 0.5)
        refused = await self.refusal(self.show.set("/groove/master", 9))
        self.assertEqual((refused.path, refused.argument), ("/groove/master", "level"))
        self.assertIn("expected a number from 0 to 4", refused.message)
        self.assertEqual(str(refused), f"/groove/master: {refused.message}")
        self.assertEqual(await self.show.get("/groove/master"), 0.5)
        refused = await self.refusal(self.show.set("/groove/master"))
        self.assertIn("missing", refused.message)
        refused = await self.refusal(self.show.get("/groove/mastr"))
        self.assertIsNone(refused.argument)
        refused = await self.refusal(self.show.set("/groove/mastr", 1))
        self.assertIn("/groove/master", refused.message)
        await self.refusal(self.show.get("/nothing/*"))
        await self.refusal(self.show.get("master"))
        await self.refusal(self.show.set("/groove/cleanup"))
        await self.refusal(self.show.set("/groove/deck/*/level", 1))
        await self.refusal(self.show.call("/groove/stem/load", 100, "missing.wav"))

    async def test_what_cannot_be_sent_is_refused_here(self) -> None:
        for wrong in (float("nan"), float("inf")):
            with self.assertRaisesRegex(ValueError, "/groove/master: argument 1 is"):
                await self.show.set("/groove/master", wrong)
        for wrong in (None, [1.0], b"x"):
            with self.assertRaisesRegex(TypeError, "/groove/master: argument 1 is of type"):
                await self.show.set("/groove/master", wrong)
        with self.assertRaisesRegex(ValueError, "at most 65536"):
            await self.show.call("/groove/preset/save", "x" * 70_000)
        await self.show.ping()

    async def test_numbers_of_numpy_are_numbers(self) -> None:
        try:
            import numpy
        except ImportError:
            self.skipTest("numpy is not installed")
        await self.show.set("/groove/beats_per_bar", numpy.int64(5))
        await self.show.set("/groove/master", numpy.float32(0.25))
        self.assertEqual(await self.show.get("/groove/master"), 0.25)

    async def test_many_requests_are_matched(self) -> None:
        async def one(k: int) -> None:
            (synced,) = await self.show.call("/groove/sync", k)
            self.assertEqual(synced.values, (k,))

        wild = [self.show.get("/groove/voice/*") for _ in range(10)]
        await asyncio.gather(*(one(k) for k in range(600)), *wild)
        # More than the daemon accepts in a burst.
        await asyncio.gather(*(self.show.ping() for _ in range(5_000)))

    async def test_two_connections_see_the_same(self) -> None:
        async with grooved.connect(f"http://localhost:{self.daemon.http_port}", timeout=SOON) as other:
            await other.set("/groove/tempo", 99)
            self.assertEqual(await self.show.get("/groove/tempo"), 99)
        await self.show.ping()

    async def test_a_cancelled_request_leaves_the_connection_alone(self) -> None:
        request = asyncio.ensure_future(self.show.call("/groove/sync", 1))
        await asyncio.sleep(0)
        request.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await request
        self.assertEqual((await self.show.call("/groove/sync", 2))[0].values, (2,))

    async def test_a_closed_connection_says_so(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "async with"):
            await grooved.connect(self.daemon.url).ping()
        show = await grooved.connect(self.daemon.url, timeout=SOON)
        async with show.subscribe("/event/*") as updates:
            waiting = asyncio.ensure_future(updates.__anext__())
            await asyncio.sleep(0)
            await show.close()
            for awaitable in (waiting, show.ping(), updates.__anext__()):
                with self.assertRaises(grooved.Closed) as caught:
                    await soon(awaitable)
                self.assertEqual(caught.exception.code, 1000)
        await show.close()


class Subscriptions(DaemonTest):
    async def asyncSetUp(self) -> None:
        self.show = await grooved.connect(self.daemon.url, timeout=SOON)
        self.addAsyncCleanup(self.show.close)

    async def fail_to_load(self, times: int) -> None:
        """Lets events happen: stems cannot be loaded."""

        async def lane(stem: int, times: int) -> None:
            for _ in range(times):
                with self.assertRaises(grooved.Refused):
                    await self.show.call("/groove/stem/load", stem, "missing.wav")

        # One after the other for each stem, because a load replaces one of the same stem that has not ended.
        lanes = 16
        await asyncio.gather(*(lane(900 + k, (times + lanes - 1 - k) // lanes) for k in range(lanes)))

    async def test_states_are_pushed_when_they_change(self) -> None:
        await self.show.set("/groove/base_tempo", 100)
        async with self.show.subscribe("/groove/base_tempo", "/status/levels", rate=50) as updates:
            state, _ = await until(updates, is_state("/groove/base_tempo", (100.0,)))
            self.assertEqual(len(state.values["/status/levels"]), 4)
            await self.show.set("/groove/base_tempo", 101)
            later, _ = await until(updates, is_state("/groove/base_tempo", (101.0,)))
            self.assertGreater(later.time, state.time)

    async def test_a_stem_starts_and_is_gone(self) -> None:
        name = self.daemon.tone("stem.wav", 30.0)
        async with self.show.subscribe("/event/stem/*", "/status/player/*", rate=50) as updates:
            await self.show.call("/groove/stem/load", 101, name)
            await self.show.call("/groove/stem/play", 101)
            event, before = await until(updates, is_event("/event/stem/started"))
            self.assertEqual(event.values[0], 101)
            self.assertIn("/event/stem/loaded", [update.path for update in before if isinstance(update, grooved.Event)])
            playing = lambda update: isinstance(update, grooved.State) and update.values.get("/status/player/101")
            await until(updates, playing)
            await self.show.call("/groove/stem/unload", 101)
            await until(updates, is_state("/status/player/101", None))

    async def test_beats_are_events(self) -> None:
        await self.show.set("/groove/tempo", 400)
        async with self.show.subscribe("/beat") as updates:
            first = await soon(updates.__anext__())
            second = await soon(updates.__anext__())
        self.assertGreater(second.number, first.number)
        self.assertEqual(second.values[0], first.values[0] + 1)

    async def test_events_can_be_asked_for_again(self) -> None:
        async with self.show.subscribe("/event/stem/failed") as updates:
            await self.fail_to_load(3)
            seen = [await soon(updates.__anext__()) for _ in range(3)]
            life, following = updates.life, updates.next_event
        self.assertEqual(following, seen[-1].number + 1)
        async with self.show.subscribe("/event/stem/failed", since=seen[0].number, life=life) as updates:
            self.assertEqual([await soon(updates.__anext__()) for _ in range(3)], seen)
        async with self.show.subscribe("/event/stem/failed", since=following, life=life) as updates:
            await self.fail_to_load(1)
            self.assertGreaterEqual((await soon(updates.__anext__())).number, following)
        # Numbers of another run of the daemon.
        for since, other in ((following, life - 1), (following + 1_000_000, life), (following + 1_000_000, None)):
            async with self.show.subscribe("/event/stem/failed", since=since, life=other) as updates:
                self.assertEqual(await soon(updates.__anext__()), grooved.Gap(None, None))
                self.assertLessEqual((await soon(updates.__anext__())).number, seen[0].number)
                self.assertEqual(updates.life, life)

    async def test_a_subscription_that_is_not_read_keeps_the_newest(self) -> None:
        async with self.show.subscribe("/event/stem/failed", "/groove/base_tempo", rate=50) as updates:
            first = updates.next_event
            await self.fail_to_load(MOST_QUEUED + 300)
            await self.show.set("/groove/base_tempo", 77)
            # The state was pushed when another subscription has it.
            async with self.show.subscribe("/groove/base_tempo", rate=50) as others:
                await until(others, is_state("/groove/base_tempo", (77.0,)))
            gap, _ = await until(updates, is_gap)
            self.assertGreaterEqual(gap.first, first)
            self.assertGreater(gap.missed, 0)
            received = 0
            while received + gap.missed < MOST_QUEUED + 300:
                update = await soon(updates.__anext__())
                self.assertNotIsInstance(update, grooved.Gap)
                received += isinstance(update, grooved.Event)
            self.assertLessEqual(received, MOST_QUEUED)
        # The daemon no longer has them either.
        async with self.show.subscribe("/event/stem/failed", since=first, life=updates.life) as again:
            gap = await soon(again.__anext__())
            self.assertEqual(gap.first, first)
            self.assertGreater(gap.missed, 0)
            self.assertGreaterEqual((await soon(again.__anext__())).number, first + gap.missed)

    async def test_scheduled_calls_are_reported_to_subscriptions(self) -> None:
        async with self.show.subscribe("/event/*") as updates:
            await self.show.call("/groove/at", 0, "/groove/stem/unload", 7)
            message, _ = await until(updates, lambda update: isinstance(update, grooved.Message))
        self.assertEqual(message.values[0], "/groove/stem/unload")

    async def test_subscriptions_end_with_their_context(self) -> None:
        for _ in range(20):
            async with self.show.subscribe("/status/tempo", rate=50) as updates:
                await soon(updates.__anext__())
        self.assertEqual([update async for update in updates], [])
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(16):
                await stack.enter_async_context(self.show.subscribe("/event/*"))
            with self.assertRaisesRegex(grooved.Refused, "16 subscriptions"):
                await stack.enter_async_context(self.show.subscribe("/event/*"))
        async with self.show.subscribe("/event/*"):
            pass

    async def test_a_subscription_that_is_cancelled_takes_no_place(self) -> None:
        for k in range(40):
            entering = asyncio.ensure_future(self.show.subscribe("/event/*").__aenter__())
            for _ in range(k % 10):
                await asyncio.sleep(0)
            entering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await entering
        await self.show.ping()
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(16 - len(self.show._subscriptions)):
                await stack.enter_async_context(self.show.subscribe("/event/*"))

    async def test_wrong_subscriptions_are_refused(self) -> None:
        for paths, options, argument in [
            (("/groove/mastr",), {}, "paths"),
            ((), {}, "paths"),
            (("/event/*",), {"rate": 99}, "rate"),
            (("/event/*",), {"since": -1}, "since"),
        ]:
            with self.assertRaises(grooved.Refused) as caught:
                async with self.show.subscribe(*paths, **options):
                    pass
            self.assertEqual(caught.exception.argument, argument)
        with self.assertRaisesRegex(RuntimeError, "async with"):
            await self.show.subscribe("/event/*").__anext__()


class Access(DaemonTest):
    async def unreachable(self, url: str, **options) -> grooved.Unreachable:
        with self.assertRaises(grooved.Unreachable) as caught:
            async with grooved.connect(url, **options):
                pass
        return caught.exception

    async def test_a_token_is_checked(self) -> None:
        daemon = self.another({"http": 'token = "open sesame"'})
        refused = await self.unreachable(daemon.url, token="open barley")
        self.assertEqual((refused.status, refused.message), (401, "the token is wrong"))
        refused = await self.unreachable(f"{daemon.url}/?token=barley")
        self.assertEqual(refused.status, 401)
        async with grooved.connect(daemon.url, token="open sesame\n") as show:
            await show.ping()
        async with grooved.connect(f"{daemon.url}/?token=open%20sesame") as show:
            await show.ping()
        with mock.patch.dict(os.environ, {"GROOVED_TOKEN": "barley"}):
            self.assertEqual((await self.unreachable(daemon.url)).status, 401)
            async with grooved.connect(daemon.url, token="open sesame") as show:
                await show.ping()

    async def test_a_wrong_address_is_explained(self) -> None:
        nobody = f"ws://127.0.0.1:{free_port()}"
        self.assertIn("connection refused; is grooved running there", (await self.unreachable(nobody)).message)
        for reconnect in (False, True):
            other = await self.unreachable(self.daemon.stream_url, reconnect=reconnect)
            self.assertIn("this is the DDSP stream", other.message)
        elsewhere = await self.unreachable(f"{self.daemon.url}/elsewhere")
        self.assertEqual(elsewhere.status, 404)
        self.assertIn("is grooved running there", (await self.unreachable("ws://nowhere.invalid")).message)

    async def test_a_port_that_says_nothing_or_nonsense_does_not_hang(self) -> None:
        async def silent(reader, writer) -> None:
            await reader.read()
            writer.close()

        async def nonsense(reader, writer) -> None:
            writer.write(b"220 mail.example ESMTP\r\n" * 100)
            await writer.drain()
            writer.close()

        for serve, timeout, expected in (
            (silent, 0.5, "no answer within 0.5 s"),
            (nonsense, SOON, "no WebSocket there"),
        ):
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            self.assertIn(expected, (await self.unreachable(f"ws://127.0.0.1:{port}", timeout=timeout)).message)
            server.close()


class Endings(DaemonTest):
    async def test_everything_ends_with_a_daemon_that_is_killed(self) -> None:
        daemon = self.another()
        async with grooved.connect(daemon.url, timeout=SOON) as show:
            async with show.subscribe("/event/*") as updates:
                # A frozen daemon reads nothing, so that the requests are pending when it is killed.
                daemon.freeze()
                requests = [asyncio.ensure_future(show.get("/groove/master")) for _ in range(200)]
                requests.append(asyncio.ensure_future(updates.__anext__()))
                await asyncio.sleep(0.1)
                daemon.kill()
                for request in requests:
                    with self.assertRaises(grooved.Closed) as caught:
                        await soon(request)
                    self.assertEqual(caught.exception.code, 1006)
            with self.assertRaises(grooved.Closed):
                await show.ping()
            with self.assertRaises(grooved.Closed):
                async with show.subscribe("/event/*"):
                    pass

    async def test_a_shutdown_is_announced(self) -> None:
        daemon = self.another()
        async with grooved.connect(daemon.url, timeout=SOON) as show:
            async with show.subscribe("/event/*") as updates:
                daemon.stop()
                with self.assertRaises(grooved.Closed) as caught:
                    while True:
                        await soon(updates.__anext__())
                self.assertEqual((caught.exception.code, caught.exception.reason), (1001, "grooved is shutting down"))

    async def test_a_daemon_that_does_not_answer_is_timed_out(self) -> None:
        daemon = self.another()
        async with grooved.connect(daemon.url, timeout=SOON) as show:
            daemon.freeze()
            try:
                with self.assertRaisesRegex(grooved.TimedOut, "did not answer 'get /groove/master' within 0.2 s"):
                    await show.get("/groove/master", timeout=0.2)
                with self.assertRaises(grooved.TimedOut):
                    await show.ping(timeout=0.1)
            finally:
                daemon.thaw()
            # Late answers are not mistaken for others.
            self.assertEqual((await show.call("/groove/sync", 5))[0].values, (5,))


class Reconnecting(DaemonTest):
    async def lost(self, show: grooved.Show) -> None:
        """Waits until a connection knows that it is lost: until requests wait, and do not end with it."""
        while True:
            try:
                await show.ping(timeout=0.2)
            except grooved.TimedOut:
                return
            except grooved.Closed:
                pass

    async def back(self, show: grooved.Show) -> None:
        """Waits until a connection is there again."""
        while True:
            with contextlib.suppress(grooved.Closed):
                await show.ping()
                return

    async def test_no_event_is_lost_with_the_connection(self) -> None:
        async with Relay(self.daemon.http_port) as relay:
            there = grooved.connect(f"ws://127.0.0.1:{relay.port}", timeout=SOON, reconnect=True)
            here = grooved.connect(self.daemon.url, timeout=SOON)
            async with here as here, there as there, there.subscribe("/event/stem/*", "/status/tempo") as updates:
                async with here.subscribe("/event/stem/*") as reference:
                    expected = []
                    received = []
                    for k in range(30):
                        if k % 10 == 5:
                            relay.cut()
                        elif k % 10 == 8:
                            await self.back(there)
                        with self.assertRaises(grooved.Refused):
                            await here.call("/groove/stem/load", 500 + k, "missing.wav")
                        expected.append(await soon(reference.__anext__()))
                    while len(received) < len(expected):
                        update = await soon(updates.__anext__())
                        self.assertNotIsInstance(update, grooved.Gap)
                        received += [update] if isinstance(update, grooved.Event) else []
                    self.assertEqual(received, expected)

    async def test_a_restart_is_noticed(self) -> None:
        daemon = self.another()
        name = daemon.tone("restart.wav", 30.0)
        async with grooved.connect(daemon.url, timeout=SOON, reconnect=True) as show:
            paths = ("/event/stem/*", "/status/player/*", "/groove/base_tempo")
            async with show.subscribe(*paths, rate=50) as updates:
                life = updates.life
                await show.set("/groove/base_tempo", 90)
                await show.call("/groove/stem/load", 100, name)
                await show.call("/groove/stem/play", 100)
                playing = lambda update: isinstance(update, grooved.State) and update.values.get("/status/player/100")
                await until(updates, playing)
                daemon.freeze()
                pending = asyncio.ensure_future(show.get("/groove/master"))
                await asyncio.sleep(0.1)
                daemon.kill()
                with self.assertRaises(grooved.Closed):
                    await soon(pending)
                daemon.start()
                self.assertEqual(await show.get("/groove/base_tempo"), 120)
                with self.assertRaises(grooved.Refused):
                    await show.call("/groove/stem/load", 999, "missing.wav")
                seen: dict[str, object] = {}
                gaps = []
                while "/event/stem/failed" not in seen or seen.get("/groove/base_tempo") != (120.0,):
                    update = await soon(updates.__anext__())
                    if isinstance(update, grooved.State):
                        seen.update(update.values)
                    elif isinstance(update, grooved.Event):
                        seen[update.path] = update
                    else:
                        gaps.append(update)
                self.assertEqual(gaps, [grooved.Gap(None, None)])
                self.assertIsNone(seen["/status/player/100"])
                self.assertNotEqual(updates.life, life)

    async def test_it_gives_up_when_it_is_not_welcome(self) -> None:
        daemon = self.another({"http": 'token = "open sesame"'})
        async with grooved.connect(daemon.url, token="open sesame", timeout=SOON, reconnect=True) as show:
            async with show.subscribe("/nothing/*") as updates:
                daemon.kill()
                daemon.settings["http"] = 'token = "open barley"'
                daemon.start()
                for awaitable in (updates.__anext__(), show.ping()):
                    with self.assertRaises(grooved.Unreachable) as caught:
                        await soon(awaitable)
                    self.assertEqual(caught.exception.status, 401)

    async def test_it_can_be_closed_while_it_tries(self) -> None:
        daemon = self.another()
        async with grooved.connect(daemon.url, timeout=SOON, reconnect=True) as show:
            daemon.kill()
            await self.lost(show)
            waiting = asyncio.ensure_future(show.ping())
            await asyncio.sleep(0)
            await show.close()
            with self.assertRaises(grooved.Closed):
                await soon(waiting)


if __name__ == "__main__":
    unittest.main()
