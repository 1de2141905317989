"""Sends what the older set player and the dance detector send, in their order, over one transition: mixer_tracks.py PORT A B

Recreated from their protocol: levels and equaliser move together through a transition of 41 steps, and the detector's
measurements move the equaliser of three decks. Times are shorter than in a show. Prints a line of JSON for each phase: its name,
the wall-clock moments between which nothing moves, and the levels of decks A and B meanwhile.
"""
import json
import sys
import time

from pythonosc.udp_client import SimpleUDPClient

client = SimpleUDPClient("127.0.0.1", int(sys.argv[1]))
STEPS = 40


def phase(name, seconds, levels):
    begun = time.time() + 0.15
    time.sleep(seconds)
    print(json.dumps({"phase": name, "from": begun, "to": time.time() - 0.05, "levels": levels}), flush=True)


def eq_all(deck, low, mid, high):
    client.send_message("/deck_eq_all", [deck, low, mid, high])


def step(k):
    """A step of the transition from A to B: levels in a straight line, and every band with them."""
    share = k / STEPS
    client.send_message("/deck_levels", [1.0 - share, share, 0.0, 0.0])
    eq_all("A", *[50.0 * (1.0 - share)] * 3)
    eq_all("B", *[50.0 * share] * 3)
    return [1.0 - share, share]


# Its start.
client.send_message("/reset", [])
client.send_message("/set_tempo", [120.0])
client.send_message("/deck_levels", [0.0, 0.0, 0.0, 0.0])
for deck in ("A", "B", "C"):
    eq_all(deck, 50.0, 50.0, 50.0)
client.send_message("/cue", ["A", sys.argv[2], 0.0])
client.send_message("/start_group", [1.0, "A"])
client.send_message("/deck_levels", [1.0, 0.0, 0.0, 0.0])
time.sleep(1.2)
phase("A alone", 0.8, [1.0, 0.0])

# The transition; the next track is cued a second before.
client.send_message("/cue", ["B", sys.argv[3], 0.0])
time.sleep(0.6)
client.send_message("/start_group", [0.1, "B"])
time.sleep(0.3)
for k in range(STEPS + 1):
    levels = step(k)
    time.sleep(0.02)
    if k % (STEPS // 4) == 0:
        phase(f"transition at {k / STEPS:.2f}", 0.8, levels)

# The detector reports each second; the set player puts parts together and moves the equaliser of A to C.
for movement in (0.30, 0.05, 0.005):
    for report in range(2):
        client.send_message("/dance/person_count", 5)
        client.send_message("/dance/total_movement", movement)
        client.send_message("/dance/arm_movement", movement)
        client.send_message("/dance/leg_movement", movement)
        client.send_message("/dance/head_movement", movement)
        for deck in ("A", "B", "C"):
            eq_all(deck, *[50.0 * movement] * 3)
        phase(f"detector at {movement} ({report + 1})", 1.0, [0.0, 1.0])

# A fade-out as it counts, which ends a little below zero.
level = 1.0
for _ in range(20):
    level -= 0.05
    client.send_message("/deck_levels", [0.0, level, 0.0, 0.0])
    time.sleep(0.02)
phase(f"faded out to {level:.1e}", 0.6, [0.0, 0.0])
