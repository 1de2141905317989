"""Drives the page in headless Chromium, at the sizes of a desk and a phone, and leaves screenshots.

Usage: page.py GROOVED FOLDER [CHROMIUM]
"""
import asyncio
import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import websockets

grooved, folder = sys.argv[1], pathlib.Path(sys.argv[2])
chromium = sys.argv[3] if len(sys.argv) > 3 else "chromium"
folder.mkdir(parents=True, exist_ok=True)
HTTP, OSC, DEBUG = 18080, 18057, 18092


def start():
    return subprocess.Popen(
        [grooved, "--demo", "--output", "null", "--http-port", str(HTTP), "--port", str(OSC)],
        stdout=subprocess.DEVNULL, stderr=open(folder / "grooved.log", "w"))


def value(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/oscquery{path}?VALUE", timeout=5) as answer:
        return json.load(answer)["VALUE"][0]


async def until(what, check, seconds=15):
    for _ in range(int(seconds * 20)):
        got = check()
        got = await got if asyncio.iscoroutine(got) else got
        if got:
            return got
        await asyncio.sleep(0.05)
    raise AssertionError(f"never came: {what}")


class Page:
    def __init__(self, socket):
        self.socket, self.number, self.troubles = socket, 0, []

    async def do(self, method, **params):
        self.number += 1
        await self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(await asyncio.wait_for(self.socket.recv(), 15))
            if message.get("method") in ("Runtime.exceptionThrown",):
                self.troubles.append(message["params"])
            if message.get("id") == self.number:
                assert "error" not in message, message
                return message["result"]

    async def js(self, code):
        answer = await self.do("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")


async def drive(daemon):
    def target():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{DEBUG}/json", timeout=2) as answer:
                pages = [p for p in json.load(answer) if p["type"] == "page"]
                return pages and pages[0]["webSocketDebuggerUrl"]
        except OSError:
            return None

    async with websockets.connect(await until("chromium", target), max_size=1 << 26) as socket:
        page = Page(socket)
        await page.do("Runtime.enable")
        await page.do("Page.enable")
        for name, width, height, mobile in (("desk", 1280, 800, False), ("phone", 390, 844, True)):
            await page.do("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                          mobile=mobile)
            await page.do("Page.navigate", url=f"http://127.0.0.1:{HTTP}/")
            await until("sliders", lambda: page.js("document.querySelectorAll('input:enabled').length >= 19"))
            wide = await page.js("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{name}: {wide} pixels too wide"
            # A finger on a slider.
            label = '[aria-label="Deck A level"]'
            await page.js(f"""(() => {{ const s = document.querySelector('{label}'); s.value = 0.5;
                s.dispatchEvent(new Event('input')); s.dispatchEvent(new Event('change')); }})()""")
            await until("the level", lambda: abs(value("/groove/deck/a/level") - 0.5) < 1e-6)
            # Someone else's move is shown.
            client(["/groove/deck/a/level", "f:1.0"])
            client(["/groove/deck/b/eq/low", "i:0"])
            await until("what others move", lambda: page.js(
                f"""Math.abs(document.querySelector('{label}').value - 1) < 1e-6 &&
                document.querySelector('[aria-label="Deck B low"]').parentElement.lastChild.textContent === 'kill'"""))
            # It lives: meters move, positions go on, the log has lines.
            first = await page.js("document.querySelector('section[aria-label=\"Deck A\"] li .number').textContent")
            await until("positions", lambda: page.js(
                f"document.querySelector('section[aria-label=\"Deck A\"] li .number').textContent !== '{first}'"))
            await until("meters", lambda: page.js(
                "parseFloat(document.querySelector('section[aria-label=\"Deck A\"] .meter i').style.right) < 95"))
            assert await page.js("document.querySelectorAll('#log li').length") > 3
            shot = await page.do("Page.captureScreenshot", format="png", captureBeyondViewport=True)
            (folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
            client(["/groove/deck/b/eq/low", "i:50"])
            print(f"{name}: set, shown, moving, no wider than {width} pixels")
        # The daemon goes and comes back; so does the page.
        daemon.terminate()
        daemon.wait()
        await until("the loss", lambda: page.js("document.querySelector('#state').className === 'bad'"))
        assert await page.js("document.querySelectorAll('input:enabled').length") == 0
        again = start()
        try:
            await until("the return", lambda: page.js("document.querySelectorAll('input:enabled').length >= 19"), 30)
        finally:
            again.terminate()
            again.wait()
        assert not page.troubles, page.troubles
        print("the daemon was stopped and started: the page said so, and came back")


def client(args):
    subprocess.run([str(pathlib.Path(grooved).with_name("groovectl")), "--port", str(OSC), "send", *args], check=True,
                   stdout=subprocess.DEVNULL)


daemon = start()
with tempfile.TemporaryDirectory() as profile:
    browser = subprocess.Popen(
        [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--remote-debugging-port={DEBUG}",
         "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(drive(daemon))
    finally:
        browser.terminate()
        browser.wait()
        daemon.terminate()
        daemon.wait()
