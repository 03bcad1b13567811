"""Kill one of two replicas of the service on Ray under load, and measure what is lost and when it is back.

python examples/measure_cluster_service.py [--seconds 30] [--clients 6]

Half of the clients never retry, to count what is lost; the others are the Python client of the package, which does.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import psutil

from cmaen.client import EmotionClient
from cmaen.errors import ServiceError

PHOTO = Path(__file__).parent / "astronaut.png"


class Asking(threading.Thread):
    """A client that asks until it is told to stop.

    Args:
        address: Of the service.
        retries: Of each request.
    """

    def __init__(self, address, retries):
        super().__init__(daemon=True)
        self.client = EmotionClient(address, retries=retries)
        self.stop, self.waiting, self.answers = False, False, []
        self.start()

    def run(self):
        """Count what comes."""
        photo = PHOTO.read_bytes()
        while not self.stop:
            self.waiting = True
            try:
                (answer,) = self.client.predict([photo])
                said = answer["status"]
            except ServiceError as error:
                said = str(error)
            self.answers.append((time.monotonic(), said))
            self.waiting = False


def replicas(server):
    """The ids of the processes that hold the model."""
    found = set()
    for child in psutil.Process(server.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if "ray::ServeReplica" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def ready(address):
    """Whether the service is."""
    try:
        with urlopen(f"{address}/readyz", timeout=5) as response:
            return response.status == 200
    except OSError:
        return False


def wait_for(condition, seconds):
    """Seconds until something is so."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise SystemExit("waited in vain")
        time.sleep(0.1)
    return time.monotonic() - start


def main():
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--clients", type=int, default=6)
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "cmaen", "serve", "--engine", "ray", "--workers", "2", "--port", str(port)]
    server = subprocess.Popen(command)
    try:
        took = wait_for(lambda: ready(address) and len(replicas(server)) == 2, 180)
        before = replicas(server)
        print(f"two replicas, {sorted(before)}, are ready after {took:.1f} s")
        clients = [Asking(address, retries) for _ in range(options.clients // 2) for retries in (0, 5)]
        time.sleep(options.seconds / 2)
        killed, at = min(before), time.monotonic()
        in_flight = sum(client.waiting for client in clients)
        os.kill(killed, signal.SIGKILL)
        print(f"{killed} is killed, with {in_flight} requests in flight on both")
        back = wait_for(lambda: len(replicas(server) - {killed}) == 2, 180)
        print(f"a new replica is there after {back:.1f} s: {sorted(replicas(server))}")
        time.sleep(options.seconds / 2)
        for client in clients:
            client.stop = True
        for client in clients:
            client.join()
        for name, group in (("never ask again", clients[::2]), ("ask again", clients[1::2])):
            answers = [answer for client in group for answer in client.answers]
            lost = [(when - at, said) for when, said in answers if said != "ok"]
            print(f"{len(group)} clients that {name}: {len(answers)} requests, {len(lost)} lost")
            for said, count in Counter(said for _, said in lost).items():
                times = [when for when, other in lost if other == said]
                print(f"  {count} x {said}, {min(times):+.2f} to {max(times):+.2f} s from the kill")
        everything = [when - at for client in clients for when, said in client.answers if said == "ok"]
        halves = [[t for t in everything if low <= t < low + 5] for low in (-5, 0, back + 2)]
        rates = ", ".join(f"{len(half) / 5:.1f}" for half in halves)
        print(f"answers a second in the five seconds before the kill, after it, and when the replica is back: {rates}")
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
