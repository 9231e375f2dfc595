"""What an import costs: a fresh process each run."""

import json
import subprocess
import sys

CODE = """
import json, resource, time
start = time.perf_counter()
import {module}
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({{"seconds": seconds, "mib": peak}}))
"""


def imported(module: str):
    """Seconds and peak MiB of a process that imports a module and nothing else."""

    def run():
        code = CODE.format(module=module)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        return json.loads(done.stdout)

    return run
