"""What runs in the sandbox, beside the learner's code: it knows of no right answer."""
