"""An independent client: walks everything the daemon shows over WebSocket and OSCQuery and sets every control once.

Usage: walk.py HTTP_PORT OSC_PORT FILE

Every message that goes or comes over /api/ws is checked against /api/schema. Prints what it did; any surprise ends it.
"""
import asyncio
import json
import re
import sys
import urllib.request

import jsonschema
import websockets
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pythonosc.osc_message import OscMessage
from pythonosc.udp_client import SimpleUDPClient

port, osc_port, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
base = f"http://127.0.0.1:{port}"


# Older names of methods; what is told back is ours.
ALIASES = {"audiotsm": "wsola", "rubberband": "hq", "pyrubberband": "hq"}


def fetch(path, headers=None):
    with urllib.request.urlopen(urllib.request.Request(base + path, headers=headers or {}), timeout=10) as answer:
        return answer.read().decode()


class Api:
    """A conversation over /api/ws; pushes are kept apart from answers."""

    def __init__(self, socket, schema):
        self.socket, self.number, self.pushes = socket, 0, []
        self.check = jsonschema.Draft202012Validator(schema).validate

    async def ask(self, op, **more):
        self.number += 1
        request = {"id": self.number, "op": op, **more}
        self.check(request)
        await self.socket.send(json.dumps(request))
        while True:
            message = await self.hear()
            if message.get("id") == self.number:
                return message
            self.pushes.append(message)

    async def hear(self):
        message = json.loads(await asyncio.wait_for(self.socket.recv(), 10))
        self.check(message)
        return message

    async def ok(self, op, **more):
        answer = await self.ask(op, **more)
        assert answer["ok"], (op, more, answer)
        return answer["result"]


def argument(arg, path):
    """A right value for an argument, by its description alone where that says enough."""
    name, kind = arg["name"], arg["type"]
    if kind == "choice":
        return arg["choices"][-1]
    if kind == "flag":
        return 1
    if name in ("id", "buffer_id") and kind == "integer":
        return 100
    if name == "path" and "/set/" in path:
        return "walk.csv"
    if name == "path" and "/plan/" in path:
        return "walk.json"
    if name == "sections":
        return "2"
    if name in ("path", "file_path"):
        return file
    if name == "address":
        return "/groove/master"
    if "/instrument" in path and name == "name":
        return "clarinet"
    if name == "genome":
        return "show-000-00"
    if kind in ("integer", "number"):
        low, high = arg["range"]
        if "debug" in path:
            return 0
        value = min(high, max(low, 0.4 if kind == "number" else 3))
        return int(value) if kind == "integer" else value
    if kind == "rest":
        return {"/groove/start": [0.1, "b"], "/start_group": [0.1, "d"], "/groove/at": ["/groove/master", 0.5],
                "/schedule_c_at": [file]}.get(path, [1])
    return "x"


def spelled(path):
    """A path with its names filled in."""
    for hole, word in (("{deck}", "b"), ("{band}", "mid"), ("{part}", "arms")):
        path = path.replace(hole, word)
    return re.sub(r"{\w+}", "1", path)


async def walk_api(schema):
    async with websockets.connect(f"ws://127.0.0.1:{port}/api/ws", max_size=1 << 22, close_timeout=1) as socket:
        api = Api(socket, schema)
        listed = await api.ok("list")
        controls = listed["controls"]
        assert len(controls) > 50 and len(listed["streams"]) > 15
        await api.ok("call", path="/groove/stem/load", args=[100, file, "walk"])
        await api.ok("call", path="/groove/stem/play", args=[100])
        # Everything that can be set is what it was set to.
        values = 0
        for control in controls:
            path = spelled(control["path"])
            assert (await api.ok("describe", path=path))["path"] == control["path"]
            holes = control["path"].count("{")
            args = []
            for arg in control["args"][holes:]:
                value = argument(arg, control["path"])
                args.extend(value if isinstance(value, list) else [value])
            if control["has_value"]:
                await api.ok("set", path=path, args=args)
                got = (await api.ok("get", path=path))[path]
                for want, have in zip(args, got):
                    want = ALIASES.get(want, want)
                    same = abs(want - have) < 1e-3 if isinstance(want, (int, float)) else want == have
                    assert same, (path, args, got)
                values += 1
            else:
                refused = await api.ask("set", path=path, args=args)
                assert not refused["ok"] and "call" in refused["error"]["message"], refused
        # Otherwise a new genome takes the place of the stem every second.
        await api.ok("set", path="/groove/genome/every", args=[0])
        # Everything that can be done is done; what tidies up comes last, and pushes over OSC are for OSC.
        order = sorted(controls, key=lambda c: any(w in c["path"] for w in ("cleanup", "unload", "reset")))
        done = 0
        for control in order:
            if control["has_value"]:
                continue
            path = spelled(control["path"])
            args = []
            for arg in control["args"][control["path"].count("{"):]:
                value = argument(arg, control["path"])
                args.extend(value if isinstance(value, list) else [value])
            if path == "/groove/get" or "seek" in path:
                await api.ok("call", path="/groove/stem/play", args=[100])
            if path == "/groove/midi/learn":
                # It is done when a controller has been moved.
                api.number += 1
                learning = api.number
                await socket.send(json.dumps({"id": learning, "op": "call", "path": path, "args": ["/groove/crossfade"]}))
                await api.ok("call", path="/groove/midi/controller", args=[1, 20, 64])
                answer = next((m for m in api.pushes if m.get("id") == learning), None) or await api.hear()
            else:
                answer = await api.ask("call", path=path, args=args)
            if "subscribe" in path and "unsubscribe" not in path:
                assert not answer["ok"] and "subscribe" in answer["error"]["message"], answer
            else:
                assert answer["ok"], (path, args, answer)
            done += 1
            if path.endswith("cleanup"):
                await api.ok("call", path="/groove/stem/load", args=[100, file, "walk"])
                await api.ok("call", path="/groove/stem/play", args=[100])
        # Mistakes are explained, by argument.
        for request, words in [
            ({"op": "set", "path": "/groove/master", "args": [99]}, ["level", "0 to 4"]),
            ({"op": "set", "path": "/groove/mastr", "args": [1]}, ["/groove/master"]),
            ({"op": "get", "path": "/nothing/*"}, ["path", "list"]),
            ({"op": "subscribe", "paths": ["/groove/mastr"]}, ["paths"]),
            ({"op": "dance"}, ["op", "subscribe"]),
        ]:
            api.number += 1
            await socket.send(json.dumps({"id": api.number, **request}))
            answer = await api.hear()
            while answer.get("id") != api.number:
                answer = await api.hear()
            assert not answer["ok"], answer
            for word in words:
                assert word in json.dumps(answer["error"]), (answer, word)
        # Pushes: meters move, a set value comes back, an event is told.
        sub = await api.ok("subscribe", paths=["/meter/*", "/groove/master", "/event/*", "/beat"], rate=25)
        await api.ok("set", path="/groove/master", args=[0.625])
        await api.ok("call", path="/groove/stem/stop", args=[100])
        await api.ok("call", path="/groove/stem/play", args=[100])
        seen = set()
        for _ in range(200):
            push = api.pushes.pop(0) if api.pushes else await api.hear()
            if push.get("push") == "state":
                seen.update(p for p, v in push["values"].items() if v)
                if push["values"].get("/groove/master") == [0.625]:
                    seen.add("625")
            elif push.get("push") == "event":
                seen.add(push["path"])
            if {"625", "/meter/output/0", "/meter/deck/a", "/event/stem/started", "/beat"} <= seen:
                break
        else:
            raise AssertionError(f"not everything was pushed: {seen}")
        await api.ok("unsubscribe", subscription=sub["subscription"])
        # What was missed can be asked for again.
        api.pushes.clear()
        await api.ok("subscribe", paths=["/event/*"], since=1)
        first = await api.hear()
        assert first["push"] == "event", first
        print(f"api: {values} values set and read back, {done} calls done")


async def walk_tree():
    info = json.loads(fetch("/?HOST_INFO"))
    assert info["OSC_PORT"] == osc_port and info["EXTENSIONS"]["LISTEN"], info
    root = json.loads(fetch("/oscquery"))
    assert json.loads(fetch("/"))["FULL_PATH"] == "/", "clients that ask at the root find it as well"
    leaves = []

    def descend(node):
        assert {"FULL_PATH", "ACCESS"} <= node.keys(), node
        if "TYPE" in node:
            assert node["DESCRIPTION"], node
            leaves.append(node)
        for name, child in node.get("CONTENTS", {}).items():
            assert child["FULL_PATH"] == node["FULL_PATH"].rstrip("/") + "/" + name, child["FULL_PATH"]
            descend(child)

    descend(root)
    client = SimpleUDPClient("127.0.0.1", osc_port)
    heard = 0
    async with websockets.connect(f"ws://127.0.0.1:{port}/", max_size=1 << 20, close_timeout=1) as socket:
        for leaf in leaves:
            path = leaf["FULL_PATH"]
            assert json.loads(fetch(path + "?DESCRIPTION")) == {"DESCRIPTION": leaf["DESCRIPTION"]}
            if leaf["ACCESS"] != 3:
                assert leaf["ACCESS"] == 2 and "VALUE" not in leaf, leaf
                continue
            assert len(leaf["TYPE"]) == len(leaf["RANGE"]) == len(leaf["VALUE"]), leaf
            wanted = []
            for tag, limits, now in zip(leaf["TYPE"], leaf["RANGE"], leaf["VALUE"]):
                if path.endswith("/instrument"):
                    wanted.append("flute")
                elif tag == "s":
                    wanted.append(limits["VALS"][0] if limits else "x")
                else:
                    low, high = limits["MIN"], limits["MAX"]
                    value = low + (min(high, low + 30) - low) * 0.3
                    value = value if abs(value - now) > 1e-3 else value + 0.25 * (min(high, low + 30) - low)
                    wanted.append(int(value) if tag == "i" else value)
            await socket.send(json.dumps({"COMMAND": "LISTEN", "DATA": path}))
            client.send_message(path, wanted)
            while True:
                packet = await asyncio.wait_for(socket.recv(), 10)
                if isinstance(packet, str):
                    # The welcome of the render socket, which shares the address.
                    continue
                message = OscMessage(packet)
                if message.address == path and all(
                    abs(a - b) < 1e-3 if not isinstance(a, str) else a == b for a, b in zip(wanted, message.params)
                ):
                    break
            await socket.send(json.dumps({"COMMAND": "IGNORE", "DATA": path}))
            heard += 1
    print(f"oscquery: {len(leaves)} controls in the tree, {heard} values set over OSC and heard over LISTEN")


def read_metrics():
    families = {f.name: f for f in text_string_to_metric_families(fetch("/metrics"))}
    for name in ("render_seconds", "wakeup_lateness_seconds", "xruns", "lost_frames", "starved_sources", "messages",
                 "dropped_messages", "late_commands", "deck_rms", "resident_bytes", "thread_cpu_seconds",
                 "card_drift_ppm"):
        assert "grooved_" + name in families, (name, sorted(families))
    assert families["grooved_render_seconds"].type == "histogram"
    counted = sum(s.value for s in families["grooved_messages"].samples if s.labels["face"] == "osc")
    assert counted > 10, counted
    print(f"metrics: {len(families)} families")


schema = json.loads(fetch("/api/schema"))
jsonschema.Draft202012Validator.check_schema(schema)
asyncio.run(walk_api(schema))
asyncio.run(walk_tree())
read_metrics()
