"""The measured graph: four decks of five stems, as a SuperCollider user would patch it.

    stem (x 20)   PlayBuf, cubic interpolation, looping, times its volume
    deck (x 4)    three bands by Linkwitz-Riley crossovers (two LPF or HPF in series), a gain each; level, crossfade
    master        gain and Limiter

Each stem is a synth of its own on its deck's bus, so each is interpolated separately: PlayBuf offers no other way to
have a volume per stem.

An equaliser with splits and a kill per band needs such crossovers: their bands add up flat and fall off by 24 dB per
octave. They take a third of the instructions and half of the time; with BLowShelf, BPeakEQ and BHiShelf instead,
scsynth needs a fifth fewer instructions.
"""

import array
import cmath
import math
import random
import wave

from formats import AUDIO, CONTROL, SynthDef, message, score

SOURCE_HZ = 44100
OUTPUT_HZ = 48000
STEM_S = 20

RATES = [0.95, 1.0, 1.03, 1.08]  # one per deck
VOLUMES = [1.0, 0.9, 0.8, 0.7, 0.6]  # one per stem of a deck
SPLITS_HZ = [200, 2000]
BAND_GAINS = [1.25, 0.7, 1.5]  # far enough apart that a wrong split shows in the levels
LEVEL = 0.9
CROSSFADE = math.sqrt(0.5)  # equal power, in the middle
MASTER_GAIN = 0.8
CEILING = 0.95

# Each channel of each stem has a tone of its own, by which the check identifies it.
# The bursts of noise occasionally reach the limiter; the tones alone stay below it.
TONE_PEAK = 0.12
NOISE_PEAK = 0.5

MASTER_BUS = 2  # 0 and 1 are the outputs
DECK_BUSES = [4, 6, 8, 10]

STEMS = [(deck, stem) for stem in range(len(VOLUMES)) for deck in range(len(RATES))]


def stem_def():
    d = SynthDef("stem", out=0, buf=0, rate=1, volume=1)
    c = d.control
    scale = d.add("BufRateScale", CONTROL, [c["buf"]])[0]
    rate = d.mul(scale, c["rate"], CONTROL)
    trigger, start, loop, done_action = 1, 0, 1, 0
    stereo = d.add("PlayBuf", AUDIO, [c["buf"], rate, trigger, start, loop, done_action], outputs=2)
    d.add("Out", AUDIO, [c["out"], *(d.mul(channel, c["volume"]) for channel in stereo)], outputs=0)
    return d


def deck_def():
    d = SynthDef("deck", out=0, bus=0, low=1, mid=1, high=1, level=1, crossfade=1)
    c = d.control
    below, above = SPLITS_HZ
    gain = d.mul(c["level"], c["crossfade"], CONTROL)

    def twice(ugen, signal, hz):
        return d.ar(ugen, d.ar(ugen, signal, hz), hz)

    def equalised(signal):
        low = d.mul(twice("LPF", signal, below), c["low"])
        mid = twice("LPF", twice("HPF", signal, below), above)
        high = twice("HPF", signal, above)
        # sclang also turns a product that is added to something into MulAdd.
        return d.ar("MulAdd", high, c["high"], d.ar("MulAdd", mid, c["mid"], low))

    stereo = d.add("In", AUDIO, [c["bus"]], outputs=2)
    d.add("Out", AUDIO, [c["out"], *(d.mul(equalised(channel), gain) for channel in stereo)], outputs=0)
    return d


def master_def():
    d = SynthDef("master", out=0, bus=0, gain=1)
    c = d.control
    stereo = d.add("In", AUDIO, [c["bus"]], outputs=2)
    look_ahead_s = 0.01
    limited = [d.ar("Limiter", d.mul(channel, c["gain"]), CEILING, look_ahead_s) for channel in stereo]
    d.add("Out", AUDIO, [c["out"], *limited], outputs=0)
    return d


def render_score(seconds, stem_files):
    """The NRT command file that renders the whole graph for `seconds`."""
    start = [message("/d_recv", definition().encode()) for definition in (stem_def, deck_def, master_def)]
    start += [message("/b_allocRead", buf, str(path), 0, 0) for buf, path in enumerate(stem_files)]

    def synth(name, **controls):
        add_to_tail, root, any_id = 1, 0, -1
        pairs = [part for pair in controls.items() for part in pair]
        start.append(message("/s_new", name, any_id, add_to_tail, root, *pairs))

    for buf, (deck, stem) in enumerate(STEMS):
        synth("stem", out=DECK_BUSES[deck], buf=buf, rate=RATES[deck], volume=VOLUMES[stem])
    low, mid, high = BAND_GAINS
    for bus in DECK_BUSES:
        synth("deck", out=MASTER_BUS, bus=bus, low=low, mid=mid, high=high, level=LEVEL, crossfade=CROSSFADE)
    synth("master", out=0, bus=MASTER_BUS, gain=MASTER_GAIN)
    return score([(0, event) for event in start] + [(seconds, message("/c_set", 0, 0.0))])


def heard_hz(index, channel):
    """The output frequency of a stem's tone; in the file it is a whole number of Hz, so that it loops seamlessly."""
    lowest, highest, tones = 70, 8000, 2 * len(STEMS)
    wanted = lowest * (highest / lowest) ** ((2 * index + channel) / (tones - 1))
    rate = RATES[STEMS[index][0]]
    return round(wanted / rate) * rate


def write_stem(path, index):
    """Writes a stem: per second a tone in each channel and a burst of noise, at a different time for each stem."""
    noise = random.Random(index)
    rate = RATES[STEMS[index][0]]
    sines = [TONE_PEAK * 32767 * math.sin(2 * math.pi * n / SOURCE_HZ) for n in range(SOURCE_HZ)]
    second = array.array("h", bytes(4 * SOURCE_HZ))
    for channel in (0, 1):
        hz = round(heard_hz(index, channel) / rate)
        tone = [sines[hz * n % SOURCE_HZ] for n in range(SOURCE_HZ)]
        burst = SOURCE_HZ * index // len(STEMS)
        for n in range(SOURCE_HZ // 10):
            decay = math.exp(-n / 1000)
            tone[(burst + n) % SOURCE_HZ] += noise.uniform(-1, 1) * NOISE_PEAK * 32767 * decay
        second[channel::2] = array.array("h", map(round, tone))
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, SOURCE_HZ, 0, "NONE", ""))
        file.writeframes(second.tobytes() * STEM_S)


def faults(path):
    """The faults of a render, judged by its last second: a list of sentences, empty if it is correct."""
    with wave.open(str(path), "rb") as file:
        if file.getframerate() != OUTPUT_HZ or file.getnchannels() != 2 or file.getnframes() < OUTPUT_HZ:
            return ["the render is not at least one second of 48 kHz stereo"]
        file.setpos(file.getnframes() - OUTPUT_HZ)
        samples = array.array("h", file.readframes(OUTPUT_HZ))
    channels = [[sample / 32768 for sample in samples[channel::2]] for channel in (0, 1)]
    found = []
    peak = max(max(map(abs, channel)) for channel in channels)
    if not 0.3 < peak <= CEILING + 0.001:
        found.append(f"the peak is {peak:.3f}, but must be between 0.3 and the limiter's {CEILING}")
    for index, (deck, stem) in enumerate(STEMS):
        for channel in (0, 1):
            hz = heard_hz(index, channel)
            expected = TONE_PEAK * VOLUMES[stem] * equaliser_gain(hz) * LEVEL * CROSSFADE * MASTER_GAIN
            level, leaked = tone_peak(channels[channel], hz), tone_peak(channels[1 - channel], hz)
            # Tolerance for the limiter, the noise, and the treble loss of cubic interpolation.
            # A tone half a Hz off would read 1.4 dB too low.
            off_db = 20 * math.log10(max(level, 1e-9) / expected)
            if abs(off_db) > 0.7:
                found.append(f"stem {stem} of deck {deck}, channel {channel}: {hz:.1f} Hz is off by {off_db:.1f} dB")
            if leaked > expected / 10:
                found.append(f"stem {stem} of deck {deck}: {hz:.1f} Hz is heard on the other channel")
    return found


def tone_peak(signal, hz):
    """The peak of the sine at `hz` in one second of signal: Goertzel's algorithm under a Hann window."""
    step = 2 * math.pi / len(signal)
    coefficient = 2 * math.cos(hz * step)
    a = b = 0.0
    for n, sample in enumerate(signal):
        a, b = sample * (1 - math.cos(n * step)) + coefficient * a - b, a
    return 2 * abs(a - b * cmath.exp(-1j * hz * step)) / len(signal)


def equaliser_gain(hz):
    """The magnitude of the three bands' sum, from the prototype of LPF and HPF: Butterworth, second order."""

    def s(split_hz):
        return 1j * math.tan(math.pi * hz / OUTPUT_HZ) / math.tan(math.pi * split_hz / OUTPUT_HZ)

    def low_pass(s):
        return 1 / (s * s + math.sqrt(2) * s + 1)

    def high_pass(s):
        return s * s * low_pass(s)

    below, above = map(s, SPLITS_HZ)
    low, mid, high = BAND_GAINS
    return abs(
        low * low_pass(below) ** 2
        + mid * high_pass(below) ** 2 * low_pass(above) ** 2
        + high * high_pass(above) ** 2
    )
