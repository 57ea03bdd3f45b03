"""What fewer programs need, imported when it is first asked for: which file has which function, method, in-place form.

tinygrad_edu/__init__.py looks up functions here, methods.py makes a method of every name that is to be one.
Read next: the files named.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple


class File(NamedTuple):
    """The names that a file of ops/ is asked for, by what they are."""

    inplace: str = ""  # functions that are methods and have an in-place form, NAME_
    both: str = ""  # functions that are methods
    functions: str = ""
    methods: str = ""


FILES = {
    "transcendental": File(
        "acos acosh arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh cosh deg2rad exp2 "
        "hypot log10 log2 logit rad2deg sinc sinh xlogy",
        "logaddexp logaddexp2",
    ),
    "special": File("digamma erfc erfinv lgamma polygamma"),
    "parts": File(
        "bitwise_left_shift bitwise_right_shift copysign fmod frac gcd heaviside lcm ldexp nan_to_num sgn",
        "float_power fmax fmin isneginf isposinf signbit",
        "rsub",
    ),
    "diagonals": File(
        "",
        "diag diag_embed diagflat diagonal_scatter select_scatter slice_scatter trace",
        "block_diag tril_indices triu_indices",
    ),
    "products": File("addbmm addmv addr", "cross inner kron matrix_power vdot", "chain_matmul tensordot"),
    "inverse": File("", "cholesky det inverse logdet slogdet"),
    "reshapes": File(
        "",
        "dsplit fliplr flipud hsplit rot90 tensor_split vsplit",
        "atleast_1d atleast_2d atleast_3d broadcast_shapes cartesian_prod column_stack combinations dstack",
        "unfold",
    ),
    "cumulative": File("cumprod", "cummax cummin diff logcumsumexp"),
    "statistics": File(
        "", "aminmax bincount corrcoef cov histc median mode nanmean nanmedian nanquantile nansum quantile"
    ),
    "sets": File("", "unique unique_consecutive", "bucketize isin searchsorted"),
    "scatters": File("index_reduce masked_scatter scatter_reduce"),
    "distances": File("", "dist", "cdist pdist"),
    "distributions": File("", "multinomial", "", "cauchy_ geometric_ log_normal_"),
}

HOMES = {name: file for file, names in FILES.items() for kind in names for name in kind.split()}
FUNCTIONS = [name for names in FILES.values() for kind in names[:3] for name in kind.split()]
METHODS = [name for names in FILES.values() for kind in (*names[:2], names[3]) for name in kind.split()]
INPLACE = [name for names in FILES.values() for name in names.inplace.split()]


def find(name: str) -> Any:
    """What stands under this name in its file."""
    return getattr(importlib.import_module(f".{HOMES[name]}", __package__), name)


def find_method(name: str) -> Any:
    """The same as a method: NAME_method where the function takes the tensor in another place."""
    return getattr(importlib.import_module(f".{HOMES[name]}", __package__), f"{name}_method", None) or find(name)
