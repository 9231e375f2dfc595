"""Submissions that attack the grader, one file each. Never run or import them outside of a sandbox.

Each is a submission for chapter autograd in cells (`# %%`). Its first line says what it attacks. It
answers exercises with what is wrong everywhere, so that every point gained is the attack's doing.
An attack that reads looks for ``CANARY-`` and 32 hexadecimal digits, and returns, prints and raises
what it finds; one that reaches something outside says BREACH in the text of an error. What they
write to disk has a name that begins with ``hostile-``, and so has every process that they start.

Their harm is bounded even where a sandbox fails: at most 200 processes, 8 GiB of memory and 2 GiB
of disk, nothing lasts longer than two minutes, the only signal sent to others is 0, sockets go to
127.0.0.1 alone. They repeat themselves, because a submission is one file.
"""
