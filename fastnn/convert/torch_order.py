"""Find the order in which a PyTorch module applies its submodules, and that it does nothing else."""

from __future__ import annotations

import copy
from typing import Any

from .torch_modules import check_module, check_unchanged, is_composite, is_sequence, nn, place_of, torch

MAGNITUDES = (0.1, 1.0, 30.0, 1000.0)
"""Of the random rows on which a module is run: a function between two submodules, such as a limit, shows on some."""


def submodules_in_order(module: Any) -> list[tuple[str, Any]]:
    """Return the modules of which a module consists, each with its place, in the order in which it applies them.

    A Sequential says its order. Any other module is run, as a copy, on random rows, in `eval` and in `train` mode:
    what each of its submodules is given must be what the one before returned.

    Raises
    ------
    TypeError
        If the module, or one in it, cannot be run or does anything else, naming its place.
    ValueError
        If it has hooks or parametrizations, or no Linear.
    """
    while hasattr(module, "_orig_mod"):  # torch.compile has wrapped it: running that would compile it
        module = module._orig_mod
    # without duplicates, a module that stands at several places would be found at the first alone
    parts = [(place_of(name), part) for name, part in module.named_modules(remove_duplicate=False)]
    for place, part in parts:
        check_unchanged(place, part)
    if not any(is_composite(part) for _, part in parts):
        return [(place, part) for place, part in parts if not is_sequence(part)]
    submodules = dict(module.named_modules())
    return [(place_of(name), submodules[name]) for name in _names_in_order(module, parts)]


def _names_in_order(module: Any, parts: list[tuple[str, Any]]) -> list[str]:
    """Return the names of a module's submodules in the order in which it applies them."""
    widths = list(dict.fromkeys(part.in_features for _, part in parts if isinstance(part, nn.Linear)))
    problem: Exception | None = None
    for n_inputs in widths:  # any Linear may be the first
        try:
            return _Trace(copy.deepcopy(module), n_inputs).names()
        except _OtherForwardError as error:
            raise TypeError(str(error)) from None
        except Exception as error:  # whatever the module's own code raises
            problem = problem or error
    for place, part in parts:
        if not is_sequence(part) and not is_composite(part):
            check_module(place, part)  # one that fastnn lacks is a better reason than what it raises
    if not widths:
        raise ValueError("module must have at least one Linear")
    raise TypeError(
        f"module: {type(module).__name__} cannot be run on rows of {' or '.join(map(str, widths))} numbers: "
        f"{problem!r:.300}"
    )


class _OtherForwardError(Exception):
    """A module does more than to apply its submodules one after the other."""

    def __init__(self, name: str, module: Any) -> None:
        super().__init__(
            f"{place_of(name)}: fastnn has nothing like {type(module).__name__}, whose forward is not just its "
            f"submodules one after the other; make each function in it a submodule, torch.relu a torch.nn.ReLU"
        )


class _Trace:
    """Runs of a module that record which submodules it applies, and compare what goes in with what came out before."""

    def __init__(self, module: Any, n_inputs: int) -> None:
        self.module = module
        parameter = next(module.parameters())
        rows = torch.randn(len(MAGNITUDES), n_inputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        rows *= torch.tensor(MAGNITUDES, dtype=rows.dtype)[:, None]
        self.rows = rows.to(parameter.device, parameter.dtype)
        self.composites: list[tuple[str, Any]] = []  # those that are running, the innermost last
        for name, part in module.named_modules():
            if is_composite(part):
                self._watch_composite(name, part)
            elif not is_sequence(part):
                self._watch(name, part)

    def names(self) -> list[str]:
        """Run the module in both modes; return the names of its submodules in their order."""
        found = self._run(training=False)
        if self._run(training=True) != found:
            raise _OtherForwardError("", self.module)
        return found

    def _run(self, training: bool) -> list[str]:
        self.found: list[str] = []
        self.value = self.rows.clone()
        devices = [self.rows.device] if self.rows.is_cuda else []
        with torch.no_grad(), torch.random.fork_rng(devices):  # a program may have seeded the generators
            self.module.train(training)(self.rows.clone())
        return self.found

    def _watch_composite(self, name: str, part: Any) -> None:
        def begin(part: Any, given: tuple[Any, ...]) -> None:
            self.composites.append((name, part))
            self._compare(given)

        def end(part: Any, given: tuple[Any, ...], output: Any) -> None:
            self._compare((output,))
            self.composites.pop()

        part.register_forward_pre_hook(begin)
        part.register_forward_hook(end)

    def _watch(self, name: str, part: Any) -> None:
        def end(part: Any, given: tuple[Any, ...], output: Any) -> None:
            self.found.append(name)
            self.value = output.clone()  # the next submodule may work in place

        part.register_forward_pre_hook(lambda part, given: self._compare(given))
        part.register_forward_hook(end)

    def _compare(self, given: tuple[Any, ...]) -> None:
        """Raise if these are not the numbers that the last submodule returned, in whatever shape."""
        (rows, *others), value = given or (None,), self.value
        same = not others and isinstance(rows, torch.Tensor) and rows.shape[:1] == value.shape[:1]
        if not (same and rows.numel() == value.numel() and _equal(rows.reshape(-1), value.reshape(-1))):
            raise _OtherForwardError(*self.composites[-1])


def _equal(a: Any, b: Any) -> bool:
    return bool(torch.allclose(a, b, rtol=0, atol=0, equal_nan=True))
