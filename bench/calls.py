"""Small calls as users write them, in code that both libraries understand; eager.py times them.

`x` and `y` are changed in place and record nothing; most of the others record a gradient. Read next: eager.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

CALLS = {
    "Elementwise": """
        a + b | a - b | a * b | a / b | -a | a ** 2 | a ** 3 | a ** 0.5 | a ** 1.7 | a ** b | a + 1.0 | a * 2.0
        1.0 - a | 1.0 / a | a + v | a.abs() | a.exp() | a.log() | a.log1p() | a.expm1() | a.sqrt() | a.rsqrt()
        a.square() | a.reciprocal()
    """,
    "Functions and choices": """
        a.sin() | a.cos() | a.tanh() | a.sigmoid() | a.sign() | a.clamp(0.6, 1.2) | a.clamp(min=0.7)
        lib.maximum(a, b) | lib.minimum(a, b) | lib.where(cond, a, b) | lib.where(cond, a, 0.0)
    """,
    "Reductions": """
        a.sum() | a.sum(0) | a.sum(-1, keepdim=True) | a.sum((0, 1)) | a.mean() | a.mean(0) | a.prod()
        a.prod(0) | a.var() | a.var(0) | a.std() | a.std(0) | lib.var_mean(a) | a.amax(0) | a.amin(0) | a.amax()
        a.max() | a.max(0) | a.min(1) | a.argmax() | a.argmax(1) | a.argmin(1)
    """,
    "Along a dimension": """
        a.logsumexp(0) | a.logsumexp(-1) | a.logsumexp((0, 1)) | a.softmax(-1) | a.softmax(0) | a.log_softmax(-1)
        a.cumsum(0) | a.cumsum(1) | a.norm() | a.norm(2, 1) | a.norm(1) | a.norm(1, 0) | a.norm(3.0)
        a.norm(3.0, 0) | a.norm(float('inf')) | a.norm(float('inf'), 1) | a.norm(0) | a.norm(-1.0, 1)
        a.norm(dim=1, keepdim=True)
    """,
    "Products": """
        a @ b | a.matmul(v) | lib.mm(a, b) | lib.bmm(B, C) | a.mv(v) | v.dot(w) | lib.einsum('ij,jk->ik', a, b)
        lib.einsum('bij,bjk->bik', B, C) | lib.einsum('i,j->ij', v, w) | lib.einsum('ii->', a)
        lib.addmm(bias, a, b) | lib.outer(v, w) | B @ C | B @ a
    """,
    "Views and joins": """
        a.reshape(16) | a.reshape(2, 8) | a.view(16) | a.view(2, -1) | a.flatten() | one.squeeze()
        one.squeeze(0) | a.unsqueeze(0) | a.transpose(0, 1) | a.permute(1, 0) | a.t() | a.T | v.expand(4, 4)
        v.broadcast_to((4, 4)) | lib.broadcast_to(v, (4, 4)) | a.repeat(2, 1) | lib.cat([a, b])
        lib.cat([a, b], 1) | lib.stack([a, b]) | lib.stack([a, b], 1) | a.split(2) | a.split(2, 1) | a.chunk(2)
        a.flip(0) | a.flip((0, 1)) | a.roll(1) | a.roll(1, 0)
    """,
    "Reading elements": """
        a[0] | a[0, 1] | a[-1] | a[1:3] | a[:, 1] | a[:, ::2] | a[None] | a[..., 0] | a[1:3, 0:2] | a[i]
        a[i, j] | a[:, i] | a[i2] | a[i2, i2] | a[1, i] | a[i, 1] | a[i, 1:3] | a[m] | a[mr] | a[:, mr]
        a[mr, 1] | a[[0, 2]] | a[[0, 2], [1, 3]] | a[:, [0, 2]] | a[a > 0.7] | a[np.array([0, 2])]
    """,
    "Writing elements": """
        x[0] = 1.0 | x[0] = y[0] | x[1:3] = 2.0 | x[:, 1] = y[0] | x[i] = y[i] | x[i] = 1.0 | x[i, j] = 1.0
        x[m] = 0.5 | x[mr] = y[0] | x[[0, 2]] = 3.0 | x[0, 1] = 3.0 | x[...] = y
    """,
    "Gathering and ordering": """
        a.gather(0, ix) | a.gather(1, i2) | a.index_select(0, i) | a.index_select(1, i) | a.masked_fill(m, 0.0)
        a.masked_fill(m, f0) | a.take_along_dim(ix, 0) | a.take(i) | a.masked_select(m) | a.tril() | a.triu(1)
        a.topk(2) | a.topk(2, 0) | a.sort() | a.sort(0, descending=True) | a.argsort() | a.scatter(0, ix, 1.0)
        a.scatter_add(0, ix, b) | a.index_add(0, t, b)
    """,
    "Comparisons": """
        a > b | a == b | a < 1.0 | a >= b | a != b | a.isnan() | a.isfinite() | a.isinf() | m.any() | m.all()
        ~m | m & m | m.sum() | m.nonzero()
    """,
    "New tensors and conversions": """
        lib.zeros(4, 4) | lib.ones(4, 4) | lib.full((4, 4), 2.0) | lib.empty(4, 4) | lib.zeros_like(a)
        lib.ones_like(a) | lib.empty_like(a) | lib.full_like(a, 2.0) | lib.arange(4) | lib.arange(0, 4, 0.5)
        lib.linspace(0, 1, 4) | lib.eye(4) | lib.tensor([1.0, 2.0]) | lib.tensor(1.0)
        lib.tensor([[1.0, 2.0], [3.0, 4.0]]) | lib.rand(4, 4) | lib.randn(4, 4) | lib.randint(0, 9, (4, 4))
        lib.randperm(4) | lib.bernoulli(p) | lib.rand_like(a) | a.clone() | a.detach() | a.double()
        a.to(lib.float64) | i.float() | a.contiguous() | m.float()
    """,
    "In place": """
        x.add_(y) | x.add_(1.0) | x.add_(y, alpha=0.5) | x.sub_(y) | x.mul_(y) | x.mul_(0.5) | x.div_(y)
        x.copy_(y) | x.zero_() | x.fill_(1.0) | x.exp_() | x.clamp_(0.0, 1.0) | x.relu_() | x.neg_()
        x.uniform_() | x.normal_() | x += y | x *= 0.5 | x.masked_fill_(m, 0.0) | x.lerp_(y, 0.1)
        x.addcmul_(y, y, value=0.5)
    """,
    "nn.functional": """
        F.linear(a, b) | F.linear(a, b, bias) | F.relu(a) | a.relu() | F.leaky_relu(a) | F.elu(a) | F.gelu(a)
        F.gelu(a, approximate='tanh') | F.silu(a) | F.softplus(a) | F.dropout(a) | F.dropout(a, 0.5, False)
        F.cross_entropy(a, t) | F.cross_entropy(a, t, weight=v.detach())
        F.cross_entropy(a, t, label_smoothing=0.1) | F.cross_entropy(a, prob)
        F.cross_entropy(a, t, reduction='none') | F.cross_entropy(a, t, reduction='sum')
        F.cross_entropy(a, t, ignore_index=2) | F.nll_loss(a, t) | F.mse_loss(a, bin) | F.mse_loss(a, b)
        F.mse_loss(a, bin, reduction='none') | F.l1_loss(a, bin) | F.binary_cross_entropy(p, bin)
        F.binary_cross_entropy_with_logits(a, bin) | F.binary_cross_entropy(p, bin, weight=v.detach())
        F.binary_cross_entropy_with_logits(a, bin, pos_weight=v.detach()) | F.one_hot(t) | F.one_hot(t, 4)
        F.pad(a, (1, 1)) | F.pad(a, (1, 1), value=2.0) | F.embedding(i, a) | F.normalize(a)
        F.layer_norm(a, (4,)) | F.layer_norm(a, (4,), lnw, lnb) | F.sigmoid(a) | F.tanh(a) | F.softmax(a, -1)
        F.log_softmax(a, -1)
    """,
}


def operands(library: Any) -> dict[str, Any]:
    """What the names in CALLS stand for. The floats are the same in every library, and from 0.5 to 1.5."""
    made = 0

    def floats(*shape: int) -> Any:
        nonlocal made
        made += 1
        values = np.random.default_rng(made).random(shape, np.float32) + np.float32(0.5)
        return library.tensor(values).requires_grad_()

    mask = library.tensor([[True, False, True, False]] * 4)
    return {
        **{"lib": library, "F": library.nn.functional, "np": np, "float": float},
        **{"a": floats(4, 4), "b": floats(4, 4), "B": floats(2, 4, 4), "C": floats(2, 4, 4), "one": floats(1, 4)},
        **{"v": floats(4), "w": floats(4), "bias": floats(4), "lnw": floats(4), "lnb": floats(4)},
        **{"i": library.tensor([0, 2, 1]), "j": library.tensor([1, 3, 0]), "i2": library.tensor([[0, 2], [1, 3]])},
        **{"ix": library.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]), "t": library.tensor([0, 1, 2, 3])},
        **{"m": mask, "mr": library.tensor([True, False, True, False]), "cond": mask},
        **{"prob": library.full((4, 4), 0.25), "p": library.full((4, 4), 0.3).requires_grad_()},
        **{"bin": library.tensor([[0.0, 1.0, 0.0, 1.0]] * 4), "f0": library.tensor(2.0)},
        **{"x": library.ones(4, 4), "y": library.ones(4, 4)},
    }
