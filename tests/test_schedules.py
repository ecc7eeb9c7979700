"""Learning rates as functions of the time in epochs, and of the history."""

import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn.schedules import Constant, Cosine, Exponential, InverseScaling, OneCycle, ReduceOnPlateau, Step, WarmUp

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))


def rates_of(schedule, *times):
    return schedule.at(np.array(times)).tolist()


def small(seed=0):
    return fastnn.Network([3, 5, 2], activation="tanh", dtype="float64", seed=seed)


@pytest.mark.parametrize(
    ("schedule", "times", "expected"),
    [
        (Constant(0.3), (0, 1.5, 100), (0.3, 0.3, 0.3)),
        (Step(1.0), (0, 9.99, 10, 19.99, 20), (1, 1, 0.1, 0.1, 0.01)),
        (Exponential(2.0, factor=0.5), (0, 1, 2, 0.5), (2, 1, 0.5, 2 / math.sqrt(2))),
        (InverseScaling(1.0, power=1), (0, 1, 3), (1, 0.5, 0.25)),
        (Cosine(1.0, epochs=4, minimum=0.2), (0, 1, 2, 4, 9), (1, 0.6 + 0.4 * math.sqrt(0.5), 0.6, 0.2, 0.2)),
        (WarmUp(1.0, epochs=4, start=0.5), (0, 2, 4, 5), (0.5, 0.75, 1, 1)),
        (WarmUp(Exponential(1.0, factor=0.25), epochs=1, start=0.5), (0, 0.5, 1), (0.5, 0.75 * 0.5, 0.25)),
        (
            OneCycle(2.0, epochs=10, rise=0.2, start=0.1, end=0.01),
            (0, 1, 2, 6, 10, 11),
            (0.2, 1.1, 2, 1.01, 0.02, 0.02),
        ),
    ],
)
def test_rates_by_hand(schedule, times, expected):
    np.testing.assert_allclose(rates_of(schedule, *times), expected, rtol=1e-12)


def test_one_cycle_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], 1.0)
    steps = 101  # theirs ends its rise at step 0.3 * 101 - 1 and its fall at step 100
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=steps, pct_start=0.3, cycle_momentum=False)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    rise = (0.3 * steps - 1) / (steps - 1)
    ours = OneCycle(0.5, epochs=steps - 1, rise=rise, start=1 / 25, end=1 / 25e4)
    np.testing.assert_allclose(rates_of(ours, *range(steps)), rates, rtol=1e-9)


def test_every_update_has_its_own_rate():
    schedule = Exponential(0.1, factor=0.5)
    net, by_hand = small(), small()
    net.fit(X, Y, epochs=2, batch_size=10, shuffle=False, learning_rate=schedule)
    for step in range(6):
        rows = slice(10 * (step % 3), 10 * (step % 3) + 10)
        by_hand.step(X[rows], Y[rows], schedule.at(np.array(step / 3)).item())
    assert (net.parameters == by_hand.parameters).all()


@pytest.mark.parametrize(
    "schedule",
    [
        Step(0.2, step_size=2),
        Exponential(0.2),
        InverseScaling(0.2),
        Cosine(0.2, epochs=5),
        WarmUp(0.2, epochs=3),
        OneCycle(0.2, epochs=4),
    ],
)
def test_a_second_fit_continues_the_schedule(schedule):
    whole, parts = small(), small()
    rates = whole.fit(X, Y, epochs=4, batch_size=7, learning_rate=schedule).learning_rates
    halves = [parts.fit(X, Y, epochs=2, batch_size=7, learning_rate=schedule) for _ in range(2)]
    assert (whole.parameters == parts.parameters).all()
    assert rates == [rate for half in halves for rate in half.learning_rates]
    assert len(set(rates)) > 1


def test_a_schedule_may_be_given_to_the_optimizer():
    nets = small(), small()
    nets[0].fit(X, Y, epochs=3, learning_rate=Step(0.01, step_size=1), optimizer="adam")
    nets[1].fit(X, Y, epochs=3, optimizer=fastnn.Adam(learning_rate=Step(0.01, step_size=1)))
    assert (nets[0].parameters == nets[1].parameters).all()


def test_reduce_on_plateau_by_hand():
    schedule = ReduceOnPlateau(1.0, factor=0.5, patience=2, minimum=0.3)
    history, rates = fastnn.History(), []
    for loss in (5, 4, 4, 4, 3, 3, 3, 3, 3):
        rates.append(schedule.after(history))
        history.add(loss=loss)
    # 4 twice in vain: halved before the fifth epoch; 3 twice in vain: 0.25, but no less than 0.3
    assert rates == [1, 1, 1, 1, 0.5, 0.5, 0.5, 0.3, 0.3]


def test_reduce_on_plateau_expects_accuracies_to_rise():
    schedule, history = ReduceOnPlateau(1.0, patience=1, monitor="val_accuracy"), fastnn.History()
    for accuracy in (0.5, 0.6, 0.7):
        history.add(val_accuracy=accuracy, loss=0.0)
    assert schedule.after(history) == 1
    history.add(val_accuracy=0.65, loss=0.0)
    assert schedule.after(history) == 0.1


def test_reduce_on_plateau_counts_only_improvements_above_min_delta():
    history = fastnn.History()
    for loss in (1.0, 0.95):
        history.add(loss=loss)
    assert ReduceOnPlateau(1.0, patience=1, min_delta=0.04).after(history) == 1
    assert ReduceOnPlateau(1.0, patience=1, min_delta=0.06).after(history) == 0.1


def test_reduce_on_plateau_acts_between_epochs():
    net = small()
    history = net.fit(X, Y, epochs=4, batch_size=30, learning_rate=ReduceOnPlateau(1e-9, patience=1, min_delta=1.0))
    np.testing.assert_allclose(history.learning_rates, [1e-9, 1e-9, 1e-10, 1e-11], rtol=1e-12)


def test_reduce_on_plateau_of_a_missing_column_is_refused_at_once():
    with pytest.raises(ValueError, match=r"monitor must be one of loss in this training, got 'val_loss'; give fit"):
        small().fit(X, Y, epochs=1, learning_rate=ReduceOnPlateau(0.1, monitor="val_loss"))


@pytest.mark.parametrize(
    ("make", "error", "word"),
    [
        (lambda: Constant(0), ValueError, "rate must be positive"),
        (lambda: Constant("1"), TypeError, "rate must be a number"),
        (lambda: Step(0.1, factor=1.5), ValueError, "factor must not be above 1"),
        (lambda: Step(0.1, step_size=0), ValueError, "step_size must be positive"),
        (lambda: Exponential(0.1, factor=0), ValueError, "factor must be positive"),
        (lambda: InverseScaling(0.1, power=-1), ValueError, "power must be 0 or more"),
        (lambda: Cosine(0.1, epochs=math.inf), ValueError, "epochs must be finite"),
        (lambda: Cosine(0.1, epochs=2, minimum=-1), ValueError, "minimum must be 0 or more"),
        (lambda: WarmUp(-0.1), ValueError, "rate must be positive"),
        (lambda: WarmUp(ReduceOnPlateau(0.1)), TypeError, "WarmUp takes a schedule of the time"),
        (lambda: OneCycle(0.1, epochs=2, rise=2), ValueError, "rise must not be above 1"),
        (lambda: ReduceOnPlateau(0.1, monitor=3), TypeError, "monitor must be the name"),
        (lambda: ReduceOnPlateau(0.1, factor=2), ValueError, "factor must not be above 1"),
        (lambda: fastnn.Adam(learning_rate=-1), ValueError, "learning_rate must be positive"),
    ],
)
def test_invalid_settings_are_refused(make, error, word):
    with pytest.raises(error, match=word):
        make()


def test_a_learning_rate_beyond_the_networks_dtype_is_refused():
    with pytest.raises(ValueError, match="learning_rate"):
        fastnn.Network([3, 2], seed=0).fit(X, Y, epochs=1, learning_rate=Constant(1e300))


def test_schedules_compare_and_pickle():
    schedule = WarmUp(Cosine(0.1, epochs=3), epochs=1)
    assert pickle.loads(pickle.dumps(schedule)) == schedule != WarmUp(Cosine(0.1, epochs=4), epochs=1)


class Half(fastnn.schedules.Schedule):
    def at(self, t):
        return 0.5 * self.rate


class Strange(fastnn.schedules.Schedule):
    answer = None

    def at(self, t):
        return self.answer


def test_a_user_schedule_may_return_one_number_for_all_times():
    nets = [small(), small()]
    nets[0].fit(X, Y, epochs=3, batch_size=7, learning_rate=Half(0.1))
    nets[1].fit(X, Y, epochs=3, batch_size=7, learning_rate=0.05)
    assert (nets[0].parameters == nets[1].parameters).all()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (-0.1, "must be 0 or more and finite, got -0.1"),
        (math.nan, "must be 0 or more and finite, got nan"),
        (1e300, "must be 0 or more and finite, got 1e"),
        (np.ones(2), "must return a number for each of the 1 times"),
        ("fast", "must return a number for each of the 1 times"),
    ],
    ids=str,
)
def test_what_a_user_schedule_returns_is_checked_before_a_kernel_reads_it(answer, message):
    rate = Strange(0.1)
    object.__setattr__(rate, "answer", answer)
    net = fastnn.Network([3, 2], seed=0)
    with pytest.raises(ValueError, match=rf"learning_rate: Strange\.at\(t\) {message}"):
        net.fit(X, Y, epochs=1, batch_size=30, learning_rate=rate)


def test_warming_up_twice_is_warming_up():
    rate = WarmUp(WarmUp(Step(0.1), epochs=2, start=0.5), epochs=1, start=0.5)
    assert rates_of(rate, 0, 2) == pytest.approx([0.025, 0.1])
    small().fit(X, Y, epochs=2, learning_rate=rate)


def test_a_plateau_is_followed_from_where_it_was():
    rate, history = ReduceOnPlateau(1.0, patience=2, factor=0.5), fastnn.History()
    state = fastnn.schedules.PlateauState(1.0)
    for loss in (3.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0):
        history.add(loss=loss)
        assert rate.advance(history, state) == rate.after(history)
    assert state == fastnn.schedules.PlateauState(0.125, 1.0, 0, 9)
