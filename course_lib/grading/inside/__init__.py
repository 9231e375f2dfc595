"""What runs in the sandbox, beside the learner's code: it knows of no right answer."""

UIDS = 100  # users that take turns where there are no namespaces
UNPRIVILEGED = 1000  # who the learner's code is where there are
