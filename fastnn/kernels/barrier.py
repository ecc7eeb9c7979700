"""A team of threads that stays together for a whole call: who belongs to it, and its barrier.

One parallel launch serves thousands of steps. The threads that arrive while the first one waits begin together. One
that arrives later, because other programs had its processor, joins at the start of a later step; one that never
arrives is never waited for. So nothing here can deadlock, however many threads the pool really starts.

The team grows in three moves, all of them made by thread 0. Between two barriers of a step `announce_growth` writes the
size of the next step's team, which its members read when that step begins: all have passed a barrier since it was
written, and it is not written again before all pass another. When that step begins, every member has finished the one
before, and thread 0 tells those who wait (`begin_step`) with which step and which barrier they begin.

`barrier` is an int64 array: what is named below, and for each thread a cache line with its flag, the number of
barriers that it has reached.
"""

from __future__ import annotations

from .intrinsics import atomic_add, atomic_load, atomic_store, pause, yield_thread
from .jit import kernel
from .simd import CACHE_LINE

LINE = CACHE_LINE // 8
ARRIVED = 0  # threads that have arrived; CLOSED or more: the team takes no more
TEAM_SIZE = LINE  # members of the step under way; 0: the first thread still waits; ENDED: the call is over
FIRST_STEP = LINE + 1  # step with which the newest members begin
FIRST_BARRIER = LINE + 2  # barriers before that step
NEXT_SIZE = 2 * LINE  # members from the next step on, if they are more
FLAGS = 3 * LINE
STEPS = 1  # place in a thread's line: steps of the teams whose last member it was
CLOSED = 1 << 32
ENDED = -1
PATIENCE = 20_000  # rounds of the waiting loop that the first thread gives the others to arrive
SHORT_PATIENCE = 4_000  # the same where they may join later
SPINS = 4_000  # rounds of the waiting loop before a thread yields its processor


def barrier_size(n_threads: int) -> int:
    """Return the length of the barrier of `n_threads`; it must be zeroed before each call."""
    return FLAGS + n_threads * LINE


@kernel
def join_team(barrier, wanted, n_steps):
    """Join the team of up to `wanted` threads; return the thread's number and the team's size, 0 if it is too late.

    n_steps: of the call. A team of more than one grows until `end_team`; else it is closed when it begins.
    """
    thread = atomic_add(barrier, ARRIVED, 1)
    if thread >= CLOSED:
        return thread, 0
    if thread == 0:
        rounds = 0
        patience = SHORT_PATIENCE if n_steps > 1 else PATIENCE
        while atomic_load(barrier, ARRIVED) < wanted and rounds < patience:
            pause()
            rounds += 1
        arrived = atomic_load(barrier, ARRIVED) if n_steps > 1 else atomic_add(barrier, ARRIVED, CLOSED)
        atomic_store(barrier, TEAM_SIZE, arrived)
    rounds = 0
    size = atomic_load(barrier, TEAM_SIZE)
    while 0 <= size <= thread:
        pause()
        rounds += 1
        if rounds > SPINS:
            yield_thread()
        size = atomic_load(barrier, TEAM_SIZE)
    return thread, max(size, 0)


@kernel
def announce_growth(barrier, team_size):
    """Tell the members that the threads which wait belong to the team from the next step on; thread 0 calls it."""
    arrived = atomic_load(barrier, ARRIVED)
    if team_size < arrived < CLOSED:
        atomic_store(barrier, NEXT_SIZE, arrived)


@kernel
def begin_step(barrier, thread, team_size, step, barrier_count):
    """Return the size of the team in a step that begins; barrier_count: number of its first barrier."""
    size = max(team_size, atomic_load(barrier, NEXT_SIZE))
    if thread == 0 and size > team_size:
        barrier[FIRST_STEP], barrier[FIRST_BARRIER] = step, barrier_count - 1
        atomic_store(barrier, TEAM_SIZE, size)
    return size


@kernel
def count_steps(barrier, team_size, n_steps):
    """Add to barrier[FLAGS:]: steps that a team of this size has made."""
    barrier[FLAGS + (team_size - 1) * LINE + STEPS] += n_steps


@kernel
def end_team(barrier):
    """Send the threads away that wait, or arrive later; every member has passed a barrier."""
    atomic_add(barrier, ARRIVED, CLOSED)
    atomic_store(barrier, TEAM_SIZE, ENDED)


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
