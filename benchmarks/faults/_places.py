"""Disks, processes, users and servers for the faults."""

import multiprocessing
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

NOT_RUN = "not run"
_FORKING = threading.Lock()  # some libraries refuse to be forked by two threads at a time


class Outcomes(NamedTuple):
    """Outcomes of a fault with their counts, and the expected ones."""

    fault: str
    counts: Counter
    right: tuple

    @property
    def missed(self):
        """Return the outcomes that should not have happened."""
        return [one for one in self.counts if one not in self.right and not one.startswith(NOT_RUN)]


@contextmanager
def small_disk(size="300k"):
    """Yield a folder on a disk of its own; None if this user may not mount one."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            run = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder]
            subprocess.run(run, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def remount(folder, options):
    """Change a disk, for instance to ``"ro"``."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def fill(folder):
    """Fill a disk."""
    with open(folder / "others", "ab", buffering=0) as file:
        for size in (2**14, 2**10, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                pass


def _task(task, args, sender):
    os.setpgid(0, 0)  # so that its own processes end with it
    sender.send(task(*args))


def in_fork(task, *args, kill_after=None, limit=120):
    """Return the result of a task in a forked process, or None if it was killed.

    Parameters
    ----------
    task : callable
    *args : object
    kill_after : float or None
        Seconds until it is killed.
    limit : float
        Seconds after which it is taken to hang: a TimeoutError.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_task, args=(task, args, sender))
    with _FORKING:
        child.start()
    sender.close()
    try:
        if receiver.poll(limit if kill_after is None else kill_after):
            return receiver.recv()
        if kill_after is None:
            raise TimeoutError(f"{task} did not end")
        return None
    except EOFError:
        raise RuntimeError(f"{task} ended with {child.exitcode}") from None
    finally:
        if child.is_alive():
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        receiver.close()


def as_nobody(task, *args):
    """Run a task in a fork as a user without permission for folders of others."""

    def run():
        if os.geteuid() == 0:  # who may read every folder
            os.setgid(65534)
            os.setuid(65534)
        return task(*args)

    return in_fork(run)


class _Counting(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        super().do_GET()

    do_HEAD = do_GET

    def log_message(self, *arguments):
        pass


@contextmanager
def server(folder):
    """Serve a folder on the loopback, and yield a list of requests and the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Counting, directory=folder)) as running:
        running.requests, running.url = [], f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        try:
            yield running
        finally:
            running.shutdown()
