"""A team of threads that stays together for a whole call: who belongs to it, and its barrier.

One parallel launch serves thousands of steps. The threads that arrive before the first one closes the team belong to
it and split the work; a thread that arrives later, or never, is not waited for. So nothing here can deadlock, however
many threads the pool really starts.

`barrier` is an int64 array: arrivals, team size, and a flag for each thread, each on a cache line of its own. A
thread's flag is the number of barriers that it has reached.
"""

from __future__ import annotations

from .intrinsics import atomic_add, atomic_load, atomic_store, pause, yield_thread
from .jit import kernel
from .simd import CACHE_LINE

LINE = CACHE_LINE // 8
ARRIVED = 0
TEAM_SIZE = LINE
FLAGS = 2 * LINE
CLOSED = 1 << 32
PATIENCE = 20_000  # rounds of the waiting loop that the first thread gives the others to arrive
SPINS = 4_000  # rounds of the waiting loop before a thread yields its processor


def barrier_size(n_threads: int) -> int:
    """Return the length of the barrier of `n_threads`; it must be zeroed before each call."""
    return FLAGS + n_threads * LINE


@kernel
def join_team(barrier, wanted):
    """Join the team of up to `wanted` threads; return the thread's number and the team's size, 0 if it is closed."""
    thread = atomic_add(barrier, ARRIVED, 1)
    if thread >= CLOSED:
        return thread, 0
    if thread == 0:
        rounds = 0
        while atomic_load(barrier, ARRIVED) < wanted and rounds < PATIENCE:
            pause()
            rounds += 1
        atomic_store(barrier, TEAM_SIZE, atomic_add(barrier, ARRIVED, CLOSED))
    rounds = 0
    while atomic_load(barrier, TEAM_SIZE) == 0:
        pause()
        rounds += 1
        if rounds > SPINS:
            yield_thread()
    return thread, atomic_load(barrier, TEAM_SIZE)


@kernel
def barrier_wait(barrier, thread, team_size, barrier_count):
    """Wait until the whole team has reached barrier number `barrier_count`; return the next one's number."""
    if team_size > 1:
        atomic_store(barrier, FLAGS + thread * LINE, barrier_count)
        for other in range(team_size):
            rounds = 0
            while atomic_load(barrier, FLAGS + other * LINE) < barrier_count:
                pause()
                rounds += 1
                if rounds > SPINS:
                    yield_thread()
    return barrier_count + 1
