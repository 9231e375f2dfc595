"""Grade a class: submissions run in a sandbox, and the values that come back are judged here.

``python -m course_lib.grading grade NAME SUBMISSIONS OUT`` grades a folder of notebooks. From the
inside out: ``inside`` runs beside the learner's code; ``view`` lays out what it may import;
``sandbox`` starts and ends its processes; ``process`` is one submission's; ``grader`` judges what
comes back, into ``records``; ``batch`` takes a folder; ``similar``, ``reports`` and ``pages`` make
of the records what people read, and ``results`` writes it; ``gradescope`` is the other way in.
"""
