"""What PyTorch's nn has and this one leaves out on purpose, and why: the errors of nn and nn.functional say it.

Read next: __init__.py and functional.py, what there is.
"""

from __future__ import annotations

import re

REASONS = (
    (r"3d$|_3d$|3d_with_indices$", "volumes (3 spatial dimensions) are left out; there are the 1-D and 2-D forms"),
    (r"^Lazy|^Uninitialized", "lazy layers are left out: give the input size; a step with one example shows it"),
    (r"^(RNN|LSTM|GRU)", "recurrent networks are left out"),
    (r"Transformer", "transformers are left out; MultiheadAttention, Linear and LayerNorm make them"),
    (r"^(CTCLoss|ctc_loss)$", "losses on sequences are left out"),
    (r"^(SyncBatchNorm|DataParallel)$", "there is one device, the CPU"),
    (r"[Ff]ractional|AdaptiveLogSoftmax|[Ll]inear_?[Cc]ross_?[Ee]ntropy|CrossMapLRN", "it is left out"),
)


def missing(where: str, name: str) -> AttributeError:
    """The error for a name that a module does not have."""
    reason = next((f": {reason}" for pattern, reason in REASONS if re.search(pattern, name)), "")
    return AttributeError(f"module {where!r} has no attribute {name!r}{reason}")
