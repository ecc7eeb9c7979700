"""A team of threads that stays together for a whole call: who takes part, and the barrier between two phases.

One parallel launch serves thousands of steps. Those who have arrived when the first closes the door take part; the
work is split among them. A thread that comes later, or never, is not waited for: nothing here can deadlock,
whatever number of threads the pool really gives.
"""

from __future__ import annotations

from .intrinsics import atomic_add, atomic_load, atomic_store, pause, yield_thread
from .jit import kernel
from .layout import SYNC_STRIDE

ARRIVED = 0
MEMBERS = SYNC_STRIDE
FLAGS = 2 * SYNC_STRIDE
CLOSED = 1 << 32
PATIENCE = 20_000  # turns of the waiting loop that the first spends on the others
SPINS = 4_000  # turns before a waiting thread gives its processor away


def room(n_threads: int) -> int:
    """Numbers that the meeting place of `n_threads` takes; they are 0 before the call."""
    return FLAGS + n_threads * SYNC_STRIDE


@kernel
def join_team(sync, wanted):
    """Rank of the thread and number of threads in the team; the team is 0 for one that comes too late."""
    rank = atomic_add(sync, ARRIVED, 1)
    if rank >= CLOSED:
        return rank, 0
    if rank == 0:
        turns = 0
        while atomic_load(sync, ARRIVED) < wanted and turns < PATIENCE:
            pause()
            turns += 1
        atomic_store(sync, MEMBERS, atomic_add(sync, ARRIVED, CLOSED))
    turns = 0
    while atomic_load(sync, MEMBERS) == 0:
        pause()
        turns += 1
        if turns > SPINS:
            yield_thread()
    return rank, atomic_load(sync, MEMBERS)


@kernel
def barrier_wait(sync, rank, team, barrier_count):
    """Wait until the whole team has come to this, its `barrier_count`-th, barrier; the number of the next."""
    if team > 1:
        atomic_store(sync, FLAGS + rank * SYNC_STRIDE, barrier_count)
        for other in range(team):
            turns = 0
            while atomic_load(sync, FLAGS + other * SYNC_STRIDE) < barrier_count:
                pause()
                turns += 1
                if turns > SPINS:
                    yield_thread()
    return barrier_count + 1
