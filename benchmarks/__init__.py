"""What the library costs, beside the ways of doing the same without it: ``make bench``, or ``python -m benchmarks``."""
