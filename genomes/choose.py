#!/usr/bin/env python3
"""Chooses genomes that sound unlike each other from a database in which runs were evolved: choose.py DATABASE COUNT FOLDER

Starts with the genome that the automatic judge likes best, and adds the one whose score times its distance from all
chosen ones is greatest. Writes each as ID.json.gz.
"""

import sqlite3
import sys
from pathlib import Path

database, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
# Earlier generations are not bred far enough; louder sounds would need to be turned down.
EARLIEST, QUIETEST, LOUDEST, LEAST_SCORE = 8, 0.05, 1.5, 0.6

connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
rows = connection.execute(
    "SELECT id, score, features FROM lineage WHERE generation >= ? AND peak BETWEEN ? AND ? AND score >= ?"
    " AND changes != 'unchanged' ORDER BY id",
    (EARLIEST, QUIETEST, LOUDEST, LEAST_SCORE),
).fetchall()
candidates = [(name, score, [float(x) for x in features.split(",")]) for name, score, features in rows]


def apart(a, b):
    return (sum((x - y) ** 2 for x, y in zip(a, b)) / len(a)) ** 0.5


chosen = [max(candidates, key=lambda c: c[1])]
while len(chosen) < min(count, len(candidates)):
    rest = [c for c in candidates if c not in chosen]
    chosen.append(max(rest, key=lambda c: c[1] * min(apart(c[2], other[2]) for other in chosen)))
for name, score, features in sorted(chosen):
    (data,) = connection.execute("SELECT data FROM genomes WHERE id = ?", (name,)).fetchone()
    (folder / f"{name}.json.gz").write_bytes(data)
    print(name, round(score, 2), *(round(f, 2) for f in features))
