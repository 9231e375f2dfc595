"""Attacks the number of processes: 50 by multiprocessing in each way that it has."""

# %%
import multiprocessing
import time

started = 0
for method in ("fork", "spawn", "forkserver"):
    try:
        context = multiprocessing.get_context(method)
        for _ in range(50):
            context.Process(target=time.sleep, args=(60,), daemon=True).start()
            started += 1
    except Exception:
        continue
if started:
    raise RuntimeError(f"BREACH: {started} processes started")


# %%
def chain(paths):
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(4) as pool:
        return list(pool.map(time.sleep, [30] * 4))
