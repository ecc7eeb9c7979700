"""How many threads a call may use."""

import threading

import numpy as np
import pytest
from helpers import bits, steps_of_thread
from scipy import sparse

import fastnn
from fastnn.kernels import barrier, threads
from fastnn.kernels.jit import from_python

FOUR = pytest.mark.usefixtures("four_processors")


@pytest.fixture
def four_processors(monkeypatch):
    monkeypatch.setattr(threads, "max_threads", lambda: 4)


@FOUR
@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({}, 4),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"OMP_NUM_THREADS": "3,2"}, 3),
        ({"OMP_NUM_THREADS": "9"}, 4),
        ({"OMP_NUM_THREADS": "some"}, 4),
        ({"OMP_NUM_THREADS": "0"}, 4),
        ({"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "4"}, 4),
    ],
    ids=str,
)
def test_openmps_limit_counts_where_nothing_else_is_said(settings, used, monkeypatch):
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads, "OPENMP_LIMIT", threads._openmp_limit())
    assert threads.default_threads() == used
    assert threads.n_processors() == min(used, threads._allowed(), threads.SETTINGS.NUMBA_NUM_THREADS)


@FOUR
@pytest.mark.parametrize(("others", "wanted", "given"), [(0, 4, 4), (1, 4, 3), (1, 2, 2), (3, 4, 1), (9, 4, 1)])
def test_every_other_call_under_way_has_a_processor(others, wanted, given):
    ready, done = threading.Barrier(others + 1), threading.Event()

    def busy():
        with threads.team_of(1):
            ready.wait(10)
            done.wait(10)

    callers = [threading.Thread(target=busy) for _ in range(others)]
    for caller in callers:
        caller.start()
    ready.wait(10)
    with threads.team_of(wanted) as size:
        assert size == given
    done.set()
    for caller in callers:
        caller.join(10)
    with threads.team_of(wanted) as size:
        assert size == wanted


@FOUR
def test_one_call_has_the_team():
    with threads.team_of(2) as outer, threads.team_of(2) as inner:
        assert (outer, inner) == (2, 1)


@FOUR
def test_a_call_that_fails_gives_its_threads_back():
    with pytest.raises(ZeroDivisionError), threads.team_of(4):
        raise ZeroDivisionError
    with threads.team_of(4) as size:
        assert size == 4


def test_threads_that_arrive_in_time_are_the_team_and_the_next_is_not():
    flags = threads.new_barrier(2)
    enter = from_python(barrier.join_team)
    flags[barrier.ARRIVED] = 1  # another came first, and waits
    flags[barrier.TEAM_SIZE] = 2  # and has closed the team
    assert tuple(enter(flags, 2, 1)) == (1, 2)
    assert enter(threads.new_barrier(1), 1, 1) == (0, 1)
    closed = threads.new_barrier(3)
    assert enter(closed, 3, 1) == (0, 1)  # the others never came, and a call of one step is not joined later
    assert enter(closed, 3, 1)[1] == 0


def test_a_thread_that_comes_late_joins_at_the_next_step(monkeypatch):
    monkeypatch.setattr(barrier, "SPINS", 3)
    flags, found = threads.new_barrier(3), []
    enter, announce, begin, end = map(
        from_python, (barrier.join_team, barrier.announce_growth, barrier.begin_step, barrier.end_team)
    )
    announce(threads.new_barrier(1), 1)  # compiled before any thread waits
    assert enter(flags, 3, 9) == (0, 1)
    assert begin(flags, 0, 1, 5, 11) == 1  # nobody has come
    late = threading.Thread(target=lambda: found.append((*enter(flags, 3, 9), *flags[barrier.FIRST_STEP :][:2])))
    late.start()
    while flags[barrier.ARRIVED] < 2:
        late.join(0.001)
    assert begin(flags, 0, 1, 5, 11) == 1  # not announced: the members could disagree
    announce(flags, 1)
    late.join(0.05)
    assert not found
    assert begin(flags, 0, 1, 6, 13) == 2
    late.join(10)
    assert found == [(1, 2, 6, 12)]
    assert begin(flags, 1, 2, 6, 13) == 2
    end(flags)
    assert enter(flags, 3, 9)[1] == 0


def test_a_thread_that_waits_when_the_call_ends_goes_away(monkeypatch):
    monkeypatch.setattr(barrier, "SPINS", 3)
    flags, found = threads.new_barrier(2), []
    enter, end = from_python(barrier.join_team), from_python(barrier.end_team)
    assert enter(flags, 2, 2) == (0, 1)
    late = threading.Thread(target=lambda: found.append(tuple(enter(flags, 2, 2))))
    late.start()
    while flags[barrier.ARRIVED] < 2:
        late.join(0.001)
    end(flags)
    late.join(10)
    assert found == [(1, 0)]
    end(flags)  # of a team that was closed when it began
    assert flags[barrier.ARRIVED] >= barrier.CLOSED


@pytest.mark.parametrize("n_late", [1, 2])
def test_a_training_that_threads_join_late_has_the_bits_of_one_thread(n_late, monkeypatch):
    """Those who wait when it begins join at its second step, all of them with passes, blocks and epochs to come."""
    X = np.random.default_rng(0).normal(size=(300, 9))
    nets = [fastnn.Network([9, 6, 2], dtype="float64", seed=0) for _ in range(2)]
    given = {"epochs": 3, "batch_size": 270, "validation_data": (X[:40], X[:40, :2]), "clip_norm": 0.1, "max_norm": 0.5}
    nets[0].fit(X, X[:, :2], n_threads=1, **given)
    steps = []

    def launch(parallel_kernel, member, wanted, *arguments):
        flags = threads.new_barrier(1 + n_late)
        flags[barrier.ARRIVED] = flags[barrier.TEAM_SIZE] = 1
        crowd = [threading.Thread(target=member, args=(*arguments, flags, 1 + n_late)) for _ in range(n_late)]
        for late in crowd:
            late.start()
        while flags[barrier.ARRIVED] < 1 + n_late:
            crowd[0].join(0.001)
        steps_of_thread(*arguments, flags, 0, 1)
        from_python(barrier.end_team)(flags)
        for late in crowd:
            late.join()
        steps.append(threads.steps_by_team_size(flags).tolist())
        return np.array(steps[-1])

    monkeypatch.setattr(threads, "run_on_team", launch)
    monkeypatch.setattr(threads, "max_threads", lambda: 1 + n_late)
    monkeypatch.setattr(barrier, "SPINS", 3)
    history = nets[1].fit(X, X[:, :2], n_threads=1 + n_late, **given)
    assert bits(nets[0].parameters) == bits(nets[1].parameters)
    assert sum(map(sum, steps)) == 6
    assert all(made[0] == 1 and made[n_late] == sum(made) - 1 for made in steps)
    assert history.n_threads == (1 if sum(made[0] for made in steps) > 3 else 1 + n_late)


def test_the_history_tells_the_team_that_made_most_of_the_steps(monkeypatch):
    net, X = fastnn.Network([3, 2], seed=0), np.eye(3)
    made = iter([[0, 1, 0], [0, 0, 1], [0, 0, 1]])

    def launch(parallel_kernel, member, wanted, *arguments):
        member(*arguments, threads.new_barrier(1), 1)
        return np.array(next(made))

    monkeypatch.setattr(threads, "run_on_team", launch)
    monkeypatch.setattr(threads, "max_threads", lambda: 4)
    by_epoch = {"callbacks": [lambda net, history: None]}
    assert net.fit(X, [0, 1, 0], epochs=3, batch_size=3, n_threads=4, **by_epoch).n_threads == 3
    assert net.fit(X, [0, 1, 0], epochs=0, n_threads=4).n_threads == 4


@pytest.mark.parametrize("wanted", [1, 2])
def test_a_launch_has_the_results_of_none(wanted, monkeypatch):
    X = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    nets = [fastnn.Network([4, 5, 3], activation=["tanh", "softmax"], loss="cross_entropy", seed=0) for _ in range(2)]
    nets[0].fit(X, [0, 1, 2] * 10, epochs=2, n_threads=1)

    def launch(parallel_kernel, member, given, *arguments):
        flags = threads.new_barrier(wanted)
        parallel_kernel(*arguments, flags, wanted)
        return threads.steps_by_team_size(flags)

    monkeypatch.setattr(threads, "run_on_team", launch)
    monkeypatch.setattr(threads, "max_threads", lambda: wanted)
    nets[1].fit(X, [0, 1, 2] * 10, epochs=2, n_threads=1)
    assert (nets[0].parameters == nets[1].parameters).all()


def test_a_worker_of_joblib_has_its_share_of_the_processors():
    joblib = pytest.importorskip("joblib")
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        most = joblib.Parallel(n_jobs=2)(joblib.delayed(threads.max_threads)() for _ in range(2))
    assert most == [1, 1]


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.1, "max_norm": 0.5, "l2": 0.01}], ids=["plain", "passes"])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_two_threads_of_python_have_the_bits_of_one(kind, options, monkeypatch):
    """Each runs its part as the threads of the pool do: with compilation and, in turns, without."""
    X = np.random.default_rng(0).normal(size=(33, 40))  # of the last batch, and of one row held out, one has nothing
    nets = [fastnn.Network([40, 6, 2], dtype="float64", seed=0) for _ in range(2)]
    given = {"epochs": 2, "batch_size": 32, "validation_data": (kind(X[:1]), X[:1, :2]), **options}
    nets[0].fit(kind(X), X[:, :2], n_threads=1, **given)
    crowds = []

    def launch(parallel_kernel, member, wanted, *arguments):
        flags = threads.new_barrier(2)
        crowd = [threading.Thread(target=steps_of_thread, args=(*arguments, flags, n, 2)) for n in range(2)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        crowds.append(crowd)
        return threads.steps_by_team_size(flags)

    monkeypatch.setattr(threads, "run_on_team", launch)
    monkeypatch.setattr(threads, "max_threads", lambda: 2)
    monkeypatch.setattr(barrier, "SPINS", 3)  # where nothing is compiled
    nets[1].fit(kind(X), X[:, :2], n_threads=2, **given)
    assert crowds
    assert (nets[0].parameters == nets[1].parameters).all()


def test_the_second_thread_waits_for_the_first_to_close_the_team(monkeypatch):
    monkeypatch.setattr(barrier, "SPINS", 3)
    flags, found = threads.new_barrier(2), []
    flags[barrier.ARRIVED] = 1
    enter = from_python(barrier.join_team)
    second = threading.Thread(target=lambda: found.append(tuple(enter(flags, 2, 1))))
    second.start()
    second.join(0.05)
    assert not found
    flags[barrier.TEAM_SIZE] = 2
    second.join(10)
    assert found == [(1, 2)]


def test_a_fork_is_remembered_where_the_pool_was_entered(monkeypatch):
    for entered in (False, True):
        monkeypatch.setattr(threads, "_pool", {"layer": None, "entered": entered, "forked": False, "calls": 3})
        threads._after_fork()
        assert (threads._pool["forked"], threads._pool["calls"]) == (entered, 0)
        assert threads.max_threads() == 1 or not entered


def test_rows_to_predict_are_handed_out(monkeypatch):
    """To however many come in time: without compilation to one."""
    net, X = fastnn.Network([6, 5, 2], seed=0), np.random.default_rng(0).normal(size=(70, 6)).astype("float32")
    expected = net.predict(X)
    monkeypatch.setattr(threads, "max_threads", lambda: 2)
    monkeypatch.setattr("fastnn.training.engine.MIN_PARALLEL_WORK", 0)
    assert (net.predict(X) == expected).all()


def test_the_first_thread_at_a_barrier_waits_for_the_others(monkeypatch):
    monkeypatch.setattr(barrier, "SPINS", 3)
    flags, found = threads.new_barrier(2), []
    wait = from_python(barrier.barrier_wait)
    wait(threads.new_barrier(1), 0, 1, 1)  # compiled before any thread waits
    first = threading.Thread(target=lambda: found.append(wait(flags, 0, 2, 1)))
    first.start()
    first.join(0.1)
    assert not found
    flags[barrier.FLAGS + barrier.LINE] = 1
    first.join(10)
    assert found == [2]


def test_one_thread_at_a_time_trains_a_network():
    net = fastnn.Network([2, 1], seed=0)
    with net.training_state.exclusive(), pytest.raises(RuntimeError, match="another thread is training"):
        net.fit(np.eye(2), [0.0, 1.0], epochs=1)
    net.fit(np.eye(2), [0.0, 1.0], epochs=1)
