"""Rows of the table in cases.py for images: convolution, pooling, normalisation over a batch, resampling.

Read next: cases.py, which says what a row is; makers.py.
"""

from __future__ import annotations

from makers import Case

CONVOLUTIONS: list[Case] = []
POOLS: list[Case] = []
NORMALISATIONS: list[Case] = []
RESAMPLING: list[Case] = []
FUSED: list[Case] = []

IMAGES = [*CONVOLUTIONS, *POOLS, *NORMALISATIONS, *RESAMPLING, *FUSED]
