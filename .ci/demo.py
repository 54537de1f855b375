"""README's first command as a new user types it: it starts everything, the graph fills, and SIGTERM ends it cleanly.

Without arguments it runs the command below and exits 0 when all of that happened. It works in the clone, because the
command's data directory is ./meshlake-data, and takes that away afterwards.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

COMMAND = "cargo run --release -- demo".split()
DATA = pathlib.Path("meshlake-data")
GRAPH = "http://127.0.0.1:7070/api/v1/graph"

# What is in the mesh by its own truth, which it prints when it stops and which is compared with this.
NODES = {
    "api.payments.example",
    "client@istio-system/istio-ingressgateway",
    "default/details",
    "default/orders",
    "default/productpage",
    "default/ratings",
    "default/reviews",
    "default/shipping",
    "istio-system/istio-ingressgateway",
    "mysqldb",
    "order-events",
}

# A release build from nothing takes some 20 minutes on two cores; the rarest node comes within seconds.
BUILD_SECONDS_MAX = 45 * 60
GRAPH_SECONDS_MAX = 120
# A server's stop ends within 9 s; before it the mesh sends what it has begun, which takes a second or two.
STOP_SECONDS_MAX = 15


def main():
    if DATA.exists():
        sys.exit(f"{DATA} is there already; the demo would write into it and this script delete it")
    # A file does not fill up as a pipe does, and is there to be read when something fails.
    with tempfile.TemporaryFile("w+") as output:
        demo = subprocess.Popen(COMMAND, stdout=output, stderr=subprocess.STDOUT)
        try:
            run(demo)
            output.seek(0)
            check_truth(output.read())
        except Failure as failure:
            output.seek(0)
            sys.exit(f"{output.read()}\n{' '.join(COMMAND)}: {failure}")
        finally:
            demo.kill()
            demo.wait()
            shutil.rmtree(DATA, ignore_errors=True)


class Failure(Exception):
    pass


def run(demo):
    wait(demo, "the server did not start", BUILD_SECONDS_MAX, lambda: nodes() is not None)
    wait(demo, "the graph did not fill", GRAPH_SECONDS_MAX, lambda: nodes() == NODES)
    os.kill(meshlake_of(demo.pid), signal.SIGTERM)
    try:
        code = demo.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        raise Failure(f"it did not stop within {STOP_SECONDS_MAX} s of SIGTERM") from None
    if code != 0:
        raise Failure(f"it ended with {code} after SIGTERM")


def wait(demo, failure, seconds, has_come):
    deadline = time.monotonic() + seconds
    while not has_come():
        if demo.poll() is not None:
            raise Failure(f"it ended with {demo.returncode} before that was asked")
        if time.monotonic() > deadline:
            raise Failure(f"{failure} within {seconds} s; nodes: {sorted(nodes() or [])}")
        time.sleep(0.5)


def nodes():
    try:
        with urllib.request.urlopen(GRAPH, timeout=30) as answer:
            return {node["id"] for node in json.load(answer)["nodes"]}
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def meshlake_of(pid):
    """The process named meshlake: cargo becomes it on Unix, and starts it where it cannot."""
    if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "meshlake":
        return pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if not children:
        raise Failure("no process of it is named meshlake")
    return meshlake_of(int(children[0]))


def check_truth(printed):
    # What the server logs while it stops follows behind it.
    truth, _ = json.JSONDecoder().raw_decode(printed, printed.index("\n{\n") + 1)
    known = {service["id"] for service in truth["services"]}
    known |= {end for edge in truth["edges"] for end in (edge["source"], edge["target"])}
    if known != NODES:
        raise Failure(f"its truth has other nodes than this script: {sorted(known ^ NODES)}")


main()
