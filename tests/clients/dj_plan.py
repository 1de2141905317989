"""Sends a DJ plan the way the older executor does: its messages, in its order and rhythm.

Usage: dj_plan.py PLAN.json PORT SECONDS_PER_SECTION

Prints a line per section with the buffers it used and the wall-clock moments between which all of them play, so that
the recording can be compared with the plan.
"""
import json
import sys
import time

from pythonosc.udp_client import SimpleUDPClient

plan = json.load(open(sys.argv[1], encoding="utf-8"))
client = SimpleUDPClient("127.0.0.1", int(sys.argv[2]))
hold = float(sys.argv[3])

ids = {}


def buffer_id(file):
    # Numbers from 1000 upward, one per distinct file, used again across sections.
    return ids.setdefault(file, 1000 + len(ids))


client.send_message("/test_tone", 440.0)
time.sleep(1.0)
client.send_message("/get_status", [])

for name in sorted(plan["sections"]):
    stems = plan["sections"][name]["stems"]
    client.send_message("/mixer_cleanup", [])
    time.sleep(0.5)
    for key, stem in stems.items():
        client.send_message("/load_buffer", [buffer_id(stem["file"]), stem["file"], f"{stem['song']}_{key}"])
    time.sleep(3.0)
    for stem in stems.values():
        number = buffer_id(stem["file"])
        time.sleep(1.5 if number == 1000 else 0.5)
        client.send_message("/play_stem", [number, float(stem["pitch_shift"]), 0.7, 1, 0.0])
        time.sleep(0.2)
    client.send_message("/crossfade_levels", [0.8, 0.0])
    client.send_message("/get_status", [])
    start = time.time() + 0.15
    time.sleep(hold)
    print(json.dumps({"section": name, "from": start, "to": time.time() - 0.15}), flush=True)

client.send_message("/mixer_cleanup", [])
