"""Attention and bags of embeddings against PyTorch: every option of the layers, masks that shut a row, dropout, errors.

Derivatives of any order are looked after by tests/demand_cases.py. Read next: test_nn.py.
"""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

torch = pytest.importorskip("torch")
E, HEADS, L, S, N = 6, 2, 3, 4, 2

LAYERS = {
    "plain": {},
    "batch first": {"batch_first": True},
    "no bias": {"bias": False},
    "more positions": {"add_bias_kv": True, "add_zero_attn": True},
    "sizes": {"kdim": 5, "vdim": 3},
}
rng = np.random.default_rng(0)
CALLS = {
    "plain": {},
    "heads apart": {"average_attn_weights": False},
    "without weights": {"need_weights": False},
    "bools": {"attn_mask": np.triu(np.ones((L, S), bool), 2)},
    "floats": {"attn_mask": rng.standard_normal((L, S))},
    "a mask a head": {"attn_mask": rng.standard_normal((N * HEADS, L, S)), "need_weights": False},
    "padding": {"key_padding_mask": np.arange(S) > np.array([[1], [3]])},
    "both": {"key_padding_mask": np.arange(S) > np.array([[1], [3]]), "attn_mask": np.triu(np.ones((L, S), bool), 3)},
}


def pair(layer):
    theirs = torch.nn.MultiheadAttention(E, HEADS, dtype=torch.float64, **layer)
    ours = nn.MultiheadAttention(E, HEADS, dtype=tg.float64, **layer)
    with torch.no_grad():
        for p in theirs.parameters():
            p += 0.1 * torch.randn_like(p)
    ours.load_state_dict({name: tg.from_numpy(p.numpy().copy()) for name, p in theirs.state_dict().items()})
    return ours, theirs


@pytest.mark.filterwarnings("ignore")  # PyTorch's, of masks of two types
@pytest.mark.parametrize("batched", [True, False], ids=["batch", "one"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("layer", LAYERS)
def test_multihead_attention_is_pytorchs(layer, call, batched):
    ours, theirs = pair(LAYERS[layer])
    sizes = [(L, N, E), (S, N, theirs.kdim), (S, N, theirs.vdim)]
    if theirs.batch_first:
        sizes = [(b, a, c) for a, b, c in sizes]
    arrays = [rng.standard_normal(s if batched else (L if k == 0 else S, s[2])) for k, s in enumerate(sizes)]
    given = dict(CALLS[call])
    if not batched:
        if call == "a mask a head":
            given["attn_mask"] = given["attn_mask"][:HEADS]
        if "key_padding_mask" in given:
            given["key_padding_mask"] = given["key_padding_mask"][0]
    results = []
    for lib, module, make in ((tg, ours, tg.tensor), (torch, theirs, torch.tensor)):
        xs = [make(a, requires_grad=True) for a in arrays]
        kwargs = {k: make(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
        y, weights = module(*xs, **kwargs)
        total = (y * make(np.arange(y.numel() if callable(y.numel) else y.numel, dtype=float)).reshape(y.shape)).sum()
        if weights is not None:
            total = total + (weights**2).sum()
        gradients = lib.autograd.grad(total, [*xs, *module.parameters()])
        results.append([y, *([] if weights is None else [weights]), *gradients])
    assert len(results[0]) == len(results[1])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), 1e-9, 1e-11)


def test_a_row_that_sees_nothing_is_zero():
    q, k, v = [tg.randn(2, 3, 4, requires_grad=True) for _ in range(3)]
    mask = tg.tensor([[True, True, False], [False, False, False], [True, False, False]])
    y = nn.functional.scaled_dot_product_attention(q, k, v, mask)
    assert y[:, 1].tolist() == [[0] * 4] * 2 and y[0, 2].tolist() == pytest.approx(v[0, 0].tolist())
    for g in tg.autograd.grad(y.sum(), (q, k, v)):
        assert np.isfinite(g.numpy()).all()


def test_dropout_of_weights_keeps_their_mean():
    tg.manual_seed(0)
    q = tg.zeros(1, 2000, 8)
    y = nn.functional.scaled_dot_product_attention(q, q, tg.ones(1, 2000, 1), dropout_p=0.5)
    assert abs(y.mean().item() - 1) < 0.01 and 0 < y.std().item() < 0.1
    layer = nn.MultiheadAttention(4, 2, dropout=0.5)
    x = tg.randn(3, 1, 4)
    assert not layer(x, x, x)[0].equal(layer(x, x, x)[0])
    layer.eval()
    assert layer(x, x, x)[0].equal(layer(x, x, x)[0])


def test_a_causal_layer_replays():
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    mask = tg.ones(3, 3, dtype=tg.bool).triu(1)
    step = tg.replay(lambda x: layer(x, x, x, attn_mask=mask, is_causal=True)[0])
    for _ in range(4):
        x = tg.randn(2, 3, 4)
        np.testing.assert_allclose(
            step(x).detach().numpy(), layer(x, x, x, attn_mask=mask)[0].detach().numpy(), 1e-6, 1e-6
        )


def test_what_does_not_fit_is_refused():
    x = tg.ones(3, 1, 4)
    with pytest.raises(ValueError, match="multiple of num_heads 3"):
        nn.MultiheadAttention(4, 3)
    layer = nn.MultiheadAttention(4, 2)
    with pytest.raises(RuntimeError, match="attn_mask must have shape"):
        layer(x, x, x, attn_mask=tg.ones(2, 2))
    with pytest.raises(RuntimeError, match="bools or floats"):
        layer(x, x, x, attn_mask=tg.ones(3, 3, dtype=tg.int64))
    with pytest.raises(RuntimeError, match="key_padding_mask must have shape"):
        layer(x, x, x, key_padding_mask=tg.ones(3, 1))
    with pytest.raises(RuntimeError, match="exclude each other"):
        nn.functional.scaled_dot_product_attention(x, x, x, tg.ones(1, 1), is_causal=True)
    with pytest.raises(RuntimeError, match="one dtype"):
        nn.functional.scaled_dot_product_attention(x, x.double(), x)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_embeddings_are_pytorchs(mode):
    options = {"mode": mode, "padding_idx": 2, "include_last_offset": True}
    theirs = torch.nn.EmbeddingBag(6, 3, dtype=torch.float64, **options)
    ours = nn.EmbeddingBag(6, 3, dtype=tg.float64, **options)
    assert ours.weight[2].tolist() == [0, 0, 0]
    ours.load_state_dict({"weight": tg.from_numpy(theirs.weight.detach().numpy().copy())})
    names, offsets = [0, 2, 5, 1, 1, 2], [0, 3, 3, 5, 6]
    y = ours(tg.tensor(names), tg.tensor(offsets))
    z = theirs(torch.tensor(names), torch.tensor(offsets))
    np.testing.assert_allclose(y.detach().numpy(), z.detach().numpy(), 1e-12)
    y.pow(2).sum().backward()
    z.pow(2).sum().backward()
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), 1e-12)
    with pytest.raises(ValueError, match="needs a vector of offsets"):
        ours(tg.tensor(names))
    with pytest.raises(IndexError, match="out of range"):
        ours(tg.tensor([6]), tg.tensor([0, 1]))
