"""tg.replay: a replayed step does what the eager one does, bit for bit.

Read next: test_replay_contract.py, test_plan.py.
"""

import copy

import pytest
from training import MODELS, OPTIMIZERS, batches, same_as_eager, setup, train, training_step

import tinygrad_edu as tg
from tinygrad_edu import backends, nn
from tinygrad_edu.nn import functional as F

# The same bits


@pytest.mark.parametrize("backend", [b for b in backends.available() if b != "numba"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_thirty_steps_equal_eager_ones(model, optimizer, backend):
    with backends.use(backend):
        step = same_as_eager(model=model, optimizer=optimizer)
    assert sum(map(len, step.tapes.values())) <= 2  # one more where the first step is special


@pytest.mark.skipif("numba" not in backends.available(), reason="numba is not installed")
def test_numba_equals_its_eager_steps():
    with backends.use("numba"):
        same_as_eager(model="relu", optimizer="sgd")


def test_learning_rate_and_settings_follow():
    def between(k, net, optimizer):
        optimizer.param_groups[0]["lr"] *= 0.9
        if k == 10:
            optimizer.param_groups[0]["momentum"] = 0.5
        if k == 20:
            optimizer.param_groups[0]["weight_decay"] = 0.1

    step = same_as_eager(between=between)
    assert sum(map(len, step.tapes.values())) <= 2


def test_a_scheduler_follows():
    def between(k, net, optimizer):
        schedule = optimizer.__dict__.setdefault("schedule_", tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30))
        schedule.step()

    same_as_eager(optimizer="adam", between=between)


def test_a_flag_that_selects_code_records_anew():
    def between(k, net, optimizer):
        if k == 10:
            optimizer.param_groups[0]["nesterov"] = False
        if k == 20:
            optimizer.param_groups[0]["maximize"] = True

    same_as_eager(optimizer="nesterov", between=between)


def test_a_short_last_batch_has_a_tape_of_its_own():
    step = same_as_eager(size=[32, 32, 7] * 10)
    assert len(step.tapes) == 2


def test_parameters_changed_in_place_between_steps():
    def between(k, net, optimizer):
        if k % 7 == 3:
            with tg.no_grad():
                for p in net.parameters():
                    p.mul_(0.5)
        if k == 15:
            net.load_state_dict({name: v * 2 for name, v in net.state_dict().items()})

    same_as_eager(between=between)


def test_optimizer_state_loaded_between_steps():
    def between(k, net, optimizer):
        if k == 8:
            optimizer.saved_ = copy.deepcopy(optimizer.state_dict())
        if k == 14:
            optimizer.load_state_dict(optimizer.saved_)

    same_as_eager(optimizer="adam", between=between)


def test_gradients_cleared_or_kept_between_steps():
    """What step does depends on whether there is a gradient yet; a replayed one must notice."""
    results = []
    for replayed in (False, True):
        net, _ = setup("relu")

        def accumulate(x, y, net=net):
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            return loss

        step = tg.replay(accumulate) if replayed else accumulate
        seen = []
        for k, (x, y) in enumerate(batches(12)):
            step(x, y)
            seen.append([p.grad.numpy().tobytes() for p in net.parameters()])
            if k in (2, 5):
                net.zero_grad()
            if k == 8:
                for p in net.parameters():
                    p.grad.zero_()
        results.append(seen)
    assert results[0] == results[1]


def test_gradients_zeroed_in_place():
    results = []
    for replayed in (False, True):
        net, opt = setup("relu")

        def step(x, y, net=net, opt=opt):
            opt.zero_grad(set_to_none=False)
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
            return loss

        run = tg.replay(step) if replayed else step
        results.append([run(x, y).item() for x, y in batches(10)])
    assert results[0] == results[1]


def test_thread_counts_give_the_same_bits():
    before = tg.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3):
            tg.set_num_threads(n)
            results.append(train(True, model="dropout", optimizer="adam", size=257)[:3])
    finally:
        tg.set_num_threads(before)
    assert results[0] == results[1] == results[2]


# Dropout and random numbers


def test_dropout_differs_from_step_to_step():
    tg.manual_seed(1)
    step = tg.replay(lambda x: F.dropout(x, 0.5))
    x = tg.ones(100)
    masks = [step(x).numpy().tobytes() for _ in range(6)]
    assert len(set(masks)) == 6
    tg.manual_seed(1)
    assert [F.dropout(x, 0.5).numpy().tobytes() for _ in range(6)] == masks
    tg.manual_seed(1)
    assert [step(x).numpy().tobytes() for _ in range(6)] == masks, "a seed set between calls holds"


def test_random_numbers_inside_a_step():
    step = tg.replay(lambda x: (x * tg.rand(5), tg.randn(3)))
    results = []
    for call in (lambda x: (x * tg.rand(5), tg.randn(3)), step):
        tg.manual_seed(4)
        results.append([[t.tolist() for t in call(tg.ones(5))] for _ in range(4)])
    assert results[0] == results[1]


# Train and eval


def test_train_and_eval_have_tapes_of_their_own():
    tg.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 30), nn.Dropout(0.5))
    step = tg.replay(lambda x: net(x).sum())
    x = next(batches(1))[0]
    noisy = {step(x).item() for _ in range(4)}
    net.eval()
    quiet = {step(x).item() for _ in range(4)}
    assert len(noisy) == 4 and len(quiet) == 1 and quiet == {net(x).sum().item()}
    net.train()
    assert len({step(x).item() for _ in range(4)}) == 4
    assert sum(map(len, step.tapes.values())) == 2


@pytest.mark.parametrize("backend", ["c", "numpy"])
@pytest.mark.parametrize("rows", [3, 7, 8, 64, 67])
def test_over_is_the_loop_over_pieces(rows, backend):
    if backend not in backends.available():
        pytest.skip(f"no {backend} backend: {backends.why_not(backend)}")
    with backends.use(backend):
        x, y = (tg.cat(parts)[:rows] for parts in zip(*batches(3), strict=True))
        results = []
        for over in (True, False):
            net, optimizer = setup("dropout", "adam")
            step = tg.replay(training_step(net, optimizer))
            if over:
                loss = step.over(8, x, y)
            else:
                for piece in zip(x.split(8), y.split(8), strict=True):
                    loss = step(*piece)
            results.append([loss.clone(), *(p.detach().clone() for p in net.parameters())])
    assert all(tg.equal(a, b) for a, b in zip(*results, strict=True))


def test_over_refuses_what_has_no_pieces():
    step = tg.replay(lambda x, y: x + y)
    for size, tensors in ((0, (tg.ones(4), tg.ones(4))), (2, (tg.ones(4), tg.ones(3))), (2, (tg.ones(0), tg.ones(0)))):
        with pytest.raises(ValueError, match="over: expected a positive size"):
            step.over(size, *tensors)


def test_over_with_a_result_fed_back():
    total = tg.zeros(2)
    step = tg.replay(lambda x: total.add_(x))
    step.over(2, tg.arange(10.0))
    assert total.tolist() == [20.0, 25.0]
