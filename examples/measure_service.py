"""Measure the capacity of one server: requests a second and latency with 1, 8 and 64 clients, then twice its capacity.

python examples/measure_service.py [--seconds 10] [--overload-seconds 60] [--workers 1]

The server has a process of its own, but the clients run on the same cores: with two cores, they take part of the
capacity that they measure.
"""

import argparse
import http.client
import io
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from cmaen import EmotionPredictor, read_image

EXAMPLE = Path(__file__).parent / "astronaut.png"
BOUNDARY = "cmaen"
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    PORT = free.getsockname()[1]


def form(picture):
    """The body of a request with one JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="images"; filename="a.jpg"\r\n\r\n'
    return head.encode() + file.getvalue() + f"\r\n--{BOUNDARY}--\r\n".encode()


def workloads():
    """A photo of 640 pixels whose faces are found, and a face crop: name, query and body of each."""
    photo = Image.fromarray(read_image(EXAMPLE)).resize((640, 640))
    x, y, width, height = EmotionPredictor().predict_faces(EXAMPLE)[0]["box"]
    crop = Image.open(EXAMPLE).convert("RGB").crop((x, y, x + width, y + height)).resize((112, 112))
    return [("photo of 640 x 640", "detect=true", form(photo)), ("face crop", "detect=false", form(crop))]


class Client(threading.Thread):
    """Asks again and again, at its own pace or as fast as it is answered; when it is refused, later, as it is told.

    Args:
        query, body: Of each request.
        until: When it stops.
        first, period: When it asks first, and from one question to the next; without, at once after each answer.
    """

    def __init__(self, query, body, until, first=0.0, period=0.0):
        super().__init__(daemon=True)
        self.query, self.body, self.until, self.first, self.period = query, body, until, first, period
        self.answers = []  # status or the error's name, and seconds
        self.start()

    def run(self):
        """Count what comes."""
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        due = self.first
        while max(due, time.perf_counter()) < self.until:
            if self.period:
                time.sleep(max(0.0, due - time.perf_counter()))
                due = max(due + self.period, time.perf_counter() - self.period)
            asked = time.perf_counter()
            try:
                connection.request("POST", f"/v1/predict?{self.query}", self.body, headers)
                response = connection.getresponse()
                response.read()
                status, again = response.status, response.headers["Retry-After"]
                if status in (429, 503) and not again:
                    status = f"{status} without Retry-After"
            except (OSError, http.client.HTTPException) as error:
                status, again = type(error).__name__, None
            self.answers.append((status, time.perf_counter() - asked))
            if self.period:
                connection.close()  # another client each time
            elif again:
                time.sleep(min(float(again), max(0.0, self.until - time.perf_counter())))


def measure(query, body, clients, seconds):
    """Requests answered a second, p50 and p99 in milliseconds of so many clients, and how many were refused."""
    start = time.perf_counter()
    answers = answers_of([Client(query, body, start + seconds) for _ in range(clients)])
    seconds = time.perf_counter() - start  # with the last answers, which come when nobody asks any more
    times = 1000 * np.array([took for status, took in answers if status == 200])
    return len(times) / seconds, *np.percentile(times, (50, 99)), len(answers) - len(times)


def overload(query, body, rate, seconds, server):
    """Ask at a rate, whether or not there are answers, and print what becomes of it."""
    clients = 400
    start = time.perf_counter() + 0.5
    before = memory(server)
    everybody = [
        Client(query, body, start + seconds, start + number / rate, clients / rate) for number in range(clients)
    ]
    peak = before
    while time.perf_counter() < start + seconds:
        time.sleep(0.5)
        peak = max(peak, memory(server))
    answers = answers_of(everybody)
    counts = Counter(status for status, _ in answers)
    times = 1000 * np.array([took for status, took in answers if status == 200])
    refusals = 1000 * np.array([took for status, took in answers if status in (429, 503)] or [0.0])
    print(
        f"asked {len(answers) / seconds:.1f} times a second for {seconds:.0f} s ({rate:.1f} intended): {dict(counts)}"
    )
    served = len(times) / (time.perf_counter() - start)  # the last ones when nobody asks any more
    print(
        f"served {served:.1f} a second; p50 {np.median(times):.0f} ms, p99 "
        f"{np.percentile(times, 99):.0f} ms; refused in p50 {np.median(refusals):.0f} ms, p99 "
        f"{np.percentile(refusals, 99):.0f} ms"
    )
    time.sleep(2)
    print(f"memory {before:.0f} MiB before, {peak:.0f} MiB at most, {memory(server):.0f} MiB after")


def answers_of(clients):
    """All answers, when the last client is done."""
    for client in clients:
        client.join()
    return [answer for client in clients for answer in client.answers]


def memory(server):
    """MiB of a process and its children."""
    process = psutil.Process(server.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 2**20


def wait_until_ready(server, seconds=60):
    """Come back when the server is warm."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit("the server does not become ready")


def main():
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=10, help="of each line of the table")
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    serve = [sys.executable, "-m", "cmaen", "serve", "--port", str(PORT), "--workers", str(options.workers)]
    server = subprocess.Popen(serve)
    try:
        wait_until_ready(server)
        print(f"{psutil.cpu_count()} cores, which the clients share; {options.workers} process(es) of the server")
        print(f"{'':20} {'clients':>7} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'refused':>8}")
        held = {}
        for name, query, body in workloads():
            measure(query, body, 2, 1)  # warm
            for clients in (1, 8, 64):
                rate, p50, p99, refused = measure(query, body, clients, options.seconds)
                held[name] = max(rate, held.get(name, 0.0))
                print(f"{name:20} {clients:7} {rate:10.1f} {p50:8.1f} {p99:8.1f} {refused:8}", flush=True)
        if options.overload_seconds:
            name, query, body = workloads()[0]
            print(f"\ntwice what it holds, {name}:")
            overload(query, body, 2 * held[name], options.overload_seconds, server)
        print("the server is alive" if server.poll() is None else f"the server has died: {server.returncode}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
