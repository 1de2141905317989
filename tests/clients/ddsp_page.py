"""The older server's JavaScript example in headless Chromium, in a page opened from a file, and played.

Usage: ddsp_page.py GROOVED FOLDER [CHROMIUM]
"""

import asyncio
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
DEBUG, OSC = 18093, 18058

# The first script is the example as it stands; the second one plays what comes.
PAGE = """<!doctype html><meta charset="utf-8"><title>DDSP</title><script>
const ws = new WebSocket('ws://localhost:8765');

ws.onopen = () => {
    // Send chord (C major)
    const message = {
        f0s: [261.63, 329.63, 392.00],  // C4, E4, G4
        loudness: 0.7
    };
    ws.send(JSON.stringify(message));
};

ws.onmessage = (event) => {
    // Receive audio data as ArrayBuffer
    const audioData = event.data;
    console.log(`Received ${audioData.byteLength} bytes`);
};
</script><script>
let example = 0;
ws.addEventListener('message', () => example++);
let frames = 0, first = 0, sizes = new Set(), at = 0, analyser;
const play = new WebSocket('ws://localhost:8765/any/path');
play.binaryType = 'arraybuffer';
const context = new AudioContext({ sampleRate: 48000 });
analyser = new AnalyserNode(context, { fftSize: 16384 });
analyser.connect(context.destination);
play.onopen = () => play.send(JSON.stringify({ f0s: [261.63, 329.63, 392.00], loudness: 0.7 }));
play.onmessage = (event) => {
    frames++;
    first = first || performance.now();
    sizes.add(event.data.byteLength);
    const pcm = new Int16Array(event.data);
    const buffer = context.createBuffer(1, pcm.length, 48000);
    buffer.getChannelData(0).set(Float32Array.from(pcm, s => s / 32768));
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(analyser);
    at = Math.max(at, context.currentTime + 0.05);
    source.start(at);
    at += pcm.length / 48000;
};
function heard() {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const near = hz => Math.max(...bins.slice(Math.round(hz * 16384 / 48000) - 2, Math.round(hz * 16384 / 48000) + 3));
    return [261.63, 329.63, 392.00, 294.0].map(near);
}
</script>"""


async def until(what, check, seconds=20):
    for _ in range(int(seconds * 10)):
        got = check()
        if got:
            return got
        await asyncio.sleep(0.1)
    raise AssertionError(f"never came: {what}")


async def drive():
    def target():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{DEBUG}/json", timeout=2) as answer:
                pages = [p for p in json.load(answer) if p["type"] == "page"]
                return pages and pages[0]["webSocketDebuggerUrl"]
        except OSError:
            return None

    async with websockets.connect(await until("chromium", target), max_size=1 << 24) as socket:
        number = 0

        async def js(code):
            nonlocal number
            number += 1
            await socket.send(json.dumps({"id": number, "method": "Runtime.evaluate", "params": {
                "expression": code, "returnByValue": True, "awaitPromise": True}}))
            while True:
                answer = json.loads(await asyncio.wait_for(socket.recv(), 30))
                if answer.get("id") == number:
                    assert "exceptionDetails" not in answer["result"], answer
                    return answer["result"]["result"].get("value")

        for _ in range(100):
            if await js("typeof frames !== 'undefined' && frames > 50"):
                break
            await asyncio.sleep(0.1)
        before = await js("[frames, performance.now(), example]")
        await asyncio.sleep(5)
        after = await js("[frames, performance.now(), example]")
        rate = 1000 * (after[0] - before[0]) / (after[1] - before[1])
        state, sizes, heard = await js("context.state"), await js("[...sizes]"), await js("heard()")
        print(f"{rate:.2f} frames a second of {sizes} bytes; the example had {after[2]}; context {state}; "
              f"C4, E4, G4 at {heard[0]:.0f}, {heard[1]:.0f}, {heard[2]:.0f} dB, D4 at {heard[3]:.0f}")
        assert abs(rate - 50) < 0.5 and sizes == [1920] and after[2] > before[2] + 200, (rate, sizes, after)
        assert state == "running" and min(heard[:3]) > heard[3] + 12, heard


with tempfile.TemporaryDirectory() as profile:
    page = pathlib.Path(profile) / "ddsp.html"
    page.write_text(PAGE)
    daemon = subprocess.Popen(
        [grooved, "--output", "null", "--http-port", "0", "--port", str(OSC)],
        stdout=subprocess.DEVNULL, stderr=open(folder / "ddsp.log", "w"))
    browser = subprocess.Popen(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}/chromium",
         f"--remote-debugging-port={DEBUG}", "--remote-allow-origins=*", page.as_uri()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(drive())
    finally:
        for process in (browser, daemon):
            process.terminate()
            process.wait()
