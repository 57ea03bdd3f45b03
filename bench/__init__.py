"""Benchmarks against PyTorch and NumPy: interleaved, medians with their spread, shares of the peak of the moment."""
