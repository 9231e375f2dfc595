"""Grade a class: submissions run in a sandbox, and the values that come back are judged here.

``python -m course_lib.grading grade NAME SUBMISSIONS OUT`` grades a folder of notebooks. The
parts, in the order in which they may import one another: ``inside`` (what runs in the sandbox,
beside the learner's code), ``records`` (what a grade is), ``sandbox``, ``grader`` (one
submission), ``batch`` (a folder of them), ``reports`` (what is written) and ``__main__``.
"""
