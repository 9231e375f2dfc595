"""Studies: measurements that do not fit a minute. Run one with ``make study name=neuron``."""
