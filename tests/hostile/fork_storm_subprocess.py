"""Attacks the number of processes: 50 programs by subprocess, from a thread too."""

# %%
import subprocess
import sys
import threading

started = []


def storm():
    for _ in range(25):
        for command in (
            ["/bin/sleep", "60"],
            [sys.executable, "-c", "import time; time.sleep(60)"],
        ):
            try:
                started.append(
                    subprocess.Popen(["hostile-sleep", *command[1:]], executable=command[0])
                )
            except Exception:
                pass


thread = threading.Thread(target=storm)
thread.start()
thread.join()
if started:
    raise RuntimeError(f"BREACH: {len(started)} programs started")


# %%
def chain(paths):
    return "nothing"
