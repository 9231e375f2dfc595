# Run this cell first: it makes the course library ready.
COURSE = None
import importlib.metadata, os, subprocess, sys
from importlib.util import find_spec
if not find_spec("course_lib"):
    lib = os.environ.get("COURSE_LIB_SOURCE") or COURSE
    if not lib:
        raise ImportError("course_lib is missing. In the folder of the "
            "book run: pip install -e .  Then run this cell again.")
    keep = [f"{p}=={importlib.metadata.version(p)}"
            for p in ("numpy", "torch") if find_spec(p)]
    pip = [sys.executable, "-m", "pip", "install", "-qq", lib, *keep]
    subprocess.run(pip, check=True), importlib.invalidate_caches()
print("The course library is ready.")
