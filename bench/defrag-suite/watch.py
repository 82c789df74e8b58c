"""What is watched while a scenario runs: resident memory and processor time, every 50 ms, and the latency of gets from a process of its own."""

import multiprocessing
import random
import threading
import time

INTERVAL_S = 0.05


class Memory(threading.Thread):
    """Rows (seconds since the start, resident bytes, payload bytes, the process' processor time in seconds). The scenario says what the payload is as
    it changes."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self.run_of, self.rows, self.payload = run, [], 0
        self.settled_rows, self.settled_payload = 0, 0
        self.began, self.over = time.monotonic(), threading.Event()

    def now(self):
        return time.monotonic() - self.began

    def look(self):
        self.rows.append((self.now(), self.run_of.rss_bytes(), self.payload, self.run_of.processor_s()))

    def settle(self, payload):
        """It was measured to be this now; since the last time it is taken to have changed evenly."""
        self.payload = payload
        self.look()
        rows = self.rows[self.settled_rows :]
        for at, (seconds, rss, _, processor_s) in enumerate(rows, 1):
            between = self.settled_payload + (payload - self.settled_payload) * at / len(rows)
            self.rows[self.settled_rows + at - 1] = (seconds, rss, between, processor_s)
        self.keep()

    def keep(self):
        """What was looked at so far stays as it is."""
        self.settled_rows, self.settled_payload = len(self.rows), self.payload

    def run(self):
        while not self.over.wait(INTERVAL_S):
            self.look()

    def end(self):
        self.over.set()
        self.join()
        self.look()


def probe(run, keys, pipe, per_second):
    """Gets one key at a time, each when it is due. One that is due while the last one still waits has been waiting since it was due: a stall counts
    for each request that it delays. With none a second there are no gets."""
    if not per_second:
        pipe.poll(None)
    connection = run.connect()
    source, times = random.Random(1), []
    due = time.perf_counter()
    while not pipe.poll():
        now = time.perf_counter()
        if due > now:
            time.sleep(due - now)
            start = time.perf_counter()
        else:
            start = due
        connection.fetch_many([source.choice(keys)])
        times.append(time.perf_counter() - start)
        due += 1 / per_second
    pipe.send(times)


class Latency:
    """with Latency(run, keys) as latency: ...; then latency.microseconds() is the quantiles and how many gets there were."""

    def __init__(self, run, keys, per_second=1000):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=probe, args=(run, keys, other, per_second), daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *what):
        try:
            self.pipe.send("end")
            self.times = sorted(self.pipe.recv()) if self.pipe.poll(60) else []
        except (EOFError, OSError):
            self.times = []
        self.process.join(10)
        self.process.kill()

    def microseconds(self):
        if not self.times:
            return {"gets": 0}
        at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        quantiles = {name: round(1e6 * self.times[int(len(self.times) * q)]) for name, q in at.items()}
        return {"gets": len(self.times), **quantiles, "max": round(1e6 * self.times[-1])}
