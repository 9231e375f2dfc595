"""Attacks the clock: an answer that uses no processor time at all."""

# %%
import threading
import time


def chain(paths):
    time.sleep(10**6)


def unbroadcast(grad, shape):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
