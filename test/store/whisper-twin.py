"""Writes a stream of points to a Whisper file and prints every archive: the engine's twin.

Reads JSON: archives, method, xFilesFactor, operations [[now, [[time, value], ...]], ...], now.
"""
import json
import os
import sys
import tempfile

import whisper


class Clock:
    now = 0

    @classmethod
    def time(cls):
        return cls.now


whisper.time = Clock
job = json.load(sys.stdin)
folder = tempfile.mkdtemp()
path = os.path.join(folder, "twin.wsp")
try:
    whisper.create(path, job["archives"], job["xFilesFactor"], job["method"])
    for now, points in job["operations"]:
        Clock.now = now
        whisper.update_many(path, points)
    Clock.now = job["now"]
    levels = []
    for step, count in job["archives"]:
        (start, end, found), values = whisper.fetch(
            path, job["now"] - step * count, job["now"], job["now"], step
        )
        levels.append({"start": start, "step": found, "values": values})
    json.dump(levels, sys.stdout)
finally:
    if os.path.exists(path):
        os.unlink(path)
    os.rmdir(folder)
