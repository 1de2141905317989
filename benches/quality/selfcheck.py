"""Checks every measure of the table of music on cases with known answers. Needs neither FluidSynth nor an engine."""

import numpy as np
from scipy import signal

import alignment
import attacks
import formants
import hits
import measures
import scenes
import signals
import spectra
import superflux
import tones
import warble
from signals import RATE

MS = RATE / 1000
FAILED = []


def check(what, found, expected, tolerance):
    fine = abs(found - expected) <= tolerance
    print(f"{'ok' if fine else 'WRONG':5} {what}: {found:.3f}, expected {expected:.3f} ± {tolerance}")
    if not fine:
        FAILED.append(what)


def stereo(mono):
    return np.stack([mono, mono], 1)


def delayed(audio, frames):
    """Returns the sound later by a fractional number of frames."""
    n = len(audio) + 4_096
    ramp = np.exp(-2j * np.pi * np.fft.rfftfreq(n) * frames)[:, None]
    return np.fft.irfft(np.fft.rfft(audio, n, axis=0) * ramp, n, axis=0)


def percussion(shifts, length=12.0, seed=51, extra=None):
    """Noise bursts every 0.4 s, each late by its own shift in ms over quiet noise; their nominal frames."""
    rng = np.random.default_rng(seed)
    out = 1e-4 * rng.standard_normal((int(length * RATE), 2))
    sound = rng.standard_normal(int(0.12 * RATE)) * np.exp(-signals.seconds(0.12) / 0.02)
    at = np.arange(0.5, length - 0.5, 0.4)
    for k, t in enumerate(at):
        signals.place(out, t * RATE + shifts[k % len(shifts)] * MS, sound, 0.3)
        if extra is not None:
            extra(out, int(t * RATE))
    return out, np.round(at * RATE).astype(int)


def check_alignment():
    audio = signal.sosfiltfilt(signal.butter(6, 15_000, fs=RATE, output="sos"), signals.mixture(1.0, 6.0), axis=0)
    for frames in (0.0, 37.4, 1_300.7, -211.2):
        moved = delayed(audio, frames) if frames >= 0 else audio[211:]
        expected = frames if frames >= 0 else -211.0
        check(f"lag of {expected:g} frames", alignment.lag(moved, audio), expected, 0.2)
    back, same = alignment.aligned(delayed(audio, 37.4), audio, 37.4)
    inner = slice(1_000, -5_000)
    check("rest after alignment, dB", 10 * np.log10(np.mean((back - same)[inner] ** 2) / np.mean(same**2)), -90, 40)


def check_spectra():
    rng = np.random.default_rng(52)
    noise = 0.1 * rng.standard_normal((4 * RATE, 2))
    music = signals.mixture(1.0, 6.0)
    mel, onset = spectra.mel_distance(music, music)
    check("mel distance of a sound to itself", mel, 0, 1e-9)
    check("onset correlation of a sound to itself", onset, 1, 1e-9)
    check("mel distance of 2 dB", spectra.mel_distance(noise * 10**0.1, noise)[0], 2, 0.01)
    check("multi-scale distance to itself", spectra.multi_scale(music, music), 0, 1e-9)
    check("multi-scale distance of 2 dB", spectra.multi_scale(noise * 10**0.1, noise), 2, 0.01)
    check("mapped distance at speed 1", spectra.mapped_distance(music, music, 1.0)[0], 0, 1e-9)
    # Nothing changes in a steady tone, whatever the time: it is its own perfect stretch.
    tone = stereo(0.2 * np.sin(2 * np.pi * 1_000 * signals.seconds(4)))
    check("mapped distance of a steady tone", spectra.mapped_distance(tone[: int(3 * RATE)], tone, 1.25)[0], 0, 0.05)
    check("stereo: level error of a sound to itself", spectra.stereo(music, music)[0], 0, 1e-9)
    check("stereo: 1.5 dB more on the left", spectra.stereo(noise * [10**0.075, 1], noise)[0], 1.5, 0.01)
    check("stereo: coherence of 1 for nearly none", spectra.stereo(stereo(noise[:, 0]), noise)[1], 0.85, 0.15)


def check_attacks():
    truth, at = percussion([0.0])
    same = attacks.figures(truth, truth, at)
    check("attacks found", same["attacks"], len(at), 1)
    check("onset shift of a sound to itself", same["shift90"], 0, 1e-3)
    check("correlation of a sound to itself", same["ncc"], 1, 1e-6)
    moved = attacks.figures(percussion([1.0, -1.0, 0.0, 3.0])[0], truth, at)
    check("median of shifts of 0, 1, 1, 3 ms", moved["shift"], 1.0, 0.02)
    check("90th percentile of them", moved["shift90"], 3.0, 0.02)
    shared = attacks.figures(percussion([2.0])[0], truth, at)
    check("correlation in spite of a shift", shared["ncc"], 1, 0.01)
    noise = np.random.default_rng(53).standard_normal((int(20 * MS), 2))

    def echo(out, frame):
        out[frame - int(22 * MS) : frame - int(2 * MS)] += 1e-3 * noise

    early = attacks.figures(percussion([0.0], extra=echo)[0], truth, at)
    check("pre-echo 20 dB above the noise", early["pre"], 20, 0.4)
    check("sharpness lost by it", early["sharp"], -10 * np.log10(0.9 * 100 + 0.1), 1.0)
    check("rise of a sound to itself", attacks.rise_timing(truth, truth, at)["rise90"], 0, 1e-3)
    slow = attacks.rise_timing(percussion([4.0, -4.0])[0], truth, at)
    check("rises 4 ms early or late", slow["rise"], 4.0, 0.1)
    speed = 1.1
    original, marks = percussion([0.0])
    stretched = np.zeros((int(len(original) / speed), 2))
    for k, frame in enumerate(marks):
        target = frame / speed + (0.0, 0.0, 0.0, 5.0)[k % 4] * MS
        place = int(round(target)) - 441
        stretched[place : place + 6_000] = original[frame - 441 : frame + 5_559]
    check("mapped shifts: one of four 5 ms late", attacks.mapped_shifts(stretched, original, marks, speed), 5.0, 0.1)


def check_warble():
    t = signals.seconds(8)
    sound = lambda f, depth, hz: 0.1 * np.sin(2 * np.pi * f * t) * (1 + depth * np.sin(2 * np.pi * hz * t))
    tone = lambda depth, hz=8.0: stereo(sum(sound(f, depth, hz) for f in (311.0, 700.0, 1_511.0)))
    # The window attenuates a modulation of 8 Hz by its answer there.
    window = signal.windows.blackman(warble.WINDOW)
    answer = np.abs(np.sum(window * np.exp(2j * np.pi * 8 * np.arange(warble.WINDOW) / RATE))) / np.sum(window)
    energy = lambda depth: (depth * answer) ** 2 / 2 + warble.INAUDIBLE
    against = lambda a, b: 10 * np.log10(energy(a) / energy(b))
    check("warble of a sound against itself", warble.warble(tone(0.1), tone(0.1)), 0, 1e-9)
    check("twice the modulation", warble.warble(tone(0.4), tone(0.2)), against(0.4, 0.2), 0.3)
    check("half the modulation", warble.warble(tone(0.2), tone(0.4)), against(0.2, 0.4), 0.3)
    check("modulation of a steady tone", warble.warble(tone(0.2), tone(0.0)), against(0.2, 0), 0.7)
    check("modulation below 6 Hz", warble.warble(tone(0.2, 2.0), tone(0.0)), 0, 0.3)


def check_hits():
    sound = signals.hat(np.random.default_rng(54))
    sound /= np.max(np.abs(sound))
    head = sound[: int(0.03 * RATE)]
    spacing = 0.125 * RATE
    audio, at, gains = scenes.roll(sound, 125)
    same = hits.find(audio, head, at, gains, spacing)
    check("roll: error of the input", same["worst"], 0, 0.005)
    check("roll: correlation of the input", same["ncc"], 1, 0.01)
    check("roll: weak and doubled hits of the input", same["weak"] + same["twice"], 0, 0)
    out = np.zeros_like(audio)
    for k, (frame, gain) in enumerate(zip(at, gains)):
        if k % 10 == 3:
            continue
        place = frame + (int(2 * MS) if k % 2 else 0)
        signals.place(out, place, sound, gain)
        if k % 5 == 0:
            signals.place(out, place + 20 * MS, sound, 0.8 * gain)
    found = hits.find(out, head, at, gains, spacing)
    share = lambda test: np.mean([test(k) for k in range(len(at))])
    check("roll: hits left out", found["weak"], share(lambda k: k % 10 == 3), 0.01)
    check("roll: hits heard twice", found["twice"], share(lambda k: k % 5 == 0), 0.02)
    check("roll: every other hit 2 ms late", found["worst"], 2.0, 0.01)


def check_tones():
    t = signals.seconds(9)
    tone = lambda depth, hz=3.0: stereo(
        0.1 * np.sin(2 * np.pi * 440 * t + 0.3) * (1 + depth * np.sin(2 * np.pi * hz * t))
    )
    for depth in (0.1, 0.01):
        check(
            f"tone with a modulation of {depth:g}",
            tones.steadiness(tone(depth), [440.0]),
            -10 * np.log10(depth**2 / 2),
            0.3,
        )
    check("steady tone, at least 85 dB", max(0.0, 85 - tones.steadiness(tone(0), [440.0])), 0, 1e-9)
    jumping = stereo(0.1 * np.sin(2 * np.pi * 440 * t + 2.0 * np.floor(t)))
    check("tone that jumps once a second, below 25 dB", max(0.0, tones.steadiness(jumping, [440.0]) - 25), 0, 1e-9)
    check(
        "modulation of 20 Hz, tone against the rest",
        measures.tone_snr(tone(0.1, 20.0), [440.0], 8),
        -10 * np.log10(0.1**2 / 2),
        0.1,
    )
    for chord, freqs in scenes.CHORDS_HZ.items():
        heard = tones.without_hats(scenes.chord_under_hats(chord, 125))
        check(
            f"hats add nothing to a chord ({chord}), 75 dB", max(0.0, 75 - measures.tone_snr(heard, freqs, 8)), 0, 1e-9
        )


def check_formants():
    voice = scenes.sung()
    check("formants of a voice to itself", formants.moved(voice, voice), 0, 1e-9)
    for semitones in (-4, 3, 7):
        moved = scenes.sung(formant_ratio=2 ** (semitones / 12))
        check(f"formants moved by {semitones} semitones", formants.moved(moved, voice), semitones, 0.5)
    for semitones in (-4, 4, 7):
        higher = scenes.sung(f0=140 * 2 ** (semitones / 12))
        check(f"only the key moved by {semitones}", formants.moved(higher, voice), 0, 0.5)


def check_superflux():
    audio, at = percussion([0.0])
    found = superflux.onsets(audio)
    recall, false = superflux.score(found, at / RATE)
    check("SuperFlux: recall of bursts", recall, 1, 0)
    check("SuperFlux: false positives", false, 0, 0)
    check(
        "SuperFlux: mean lateness, s", np.mean([found[np.argmin(np.abs(found - t))] - t for t in at / RATE]), 0, 0.012
    )
    recall, false = superflux.score([1.0, 2.02, 3.0], [1.0, 2.0, 4.0, 5.0])
    check("recall of two in four", recall, 0.5, 0)
    check("false: one in three", false, 1 / 3, 1e-9)


def main():
    for part in (
        check_alignment,
        check_spectra,
        check_attacks,
        check_warble,
        check_hits,
        check_tones,
        check_formants,
        check_superflux,
    ):
        part()
    if FAILED:
        raise SystemExit(f"{len(FAILED)} measures are wrong")


if __name__ == "__main__":
    main()
