"""What the Python peers share: answering requests, and taking times."""

import json
import sys
import time

SINGLE_STEPS = 20_000  # timed one by one


def timed(run, quantile=None):
    """Seconds a run, the mean of many after one to warm up; with a quantile, that of runs that are timed one by one."""
    run()
    if quantile is not None:
        return {"seconds": singly(run, quantile)}
    n = 1
    while True:
        start = time.perf_counter()
        for _ in range(n):
            run()
        seconds = time.perf_counter() - start
        if seconds >= 0.01:
            return {"seconds": seconds / n}
        n *= 2


def singly(run, quantile):
    """A quantile of the seconds that single runs take."""
    times, before = [0.0] * SINGLE_STEPS, time.perf_counter()
    for i in range(SINGLE_STEPS):
        run()
        now = time.perf_counter()
        times[i], before = now - before, now
    return sorted(times)[int(quantile * (SINGLE_STEPS - 1))]


def serve(*functions):
    """For each request, a line of JSON on stdin that names one of the functions, writes a reply to stdout."""
    do = {f.__name__: f for f in functions}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = do[request.pop("do")](request)
        except Exception as error:  # tell it and live on
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
