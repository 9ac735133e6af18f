"""What an engine is: one function over many keyed inputs.

A task is a function of plain arrays under a key. The driver owns all state; workers keep nothing but caches. Answers come back in the
order of the keys, whatever the order in which they were finished, so sums do not depend on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from multiscale.programs.limits import SolverSettings, limits_in_force


class Engine(Protocol):
    """Runs one function over many keyed inputs."""

    workers: int

    def map(
        self,
        function: Callable[..., Any],
        tasks: Mapping[str, tuple[Any, ...]],
        homes: Mapping[str, int] | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        """``{key: function(*arguments)}`` in the order of the tasks.

        Args:
            function: what to do.
            tasks: key -> arguments.
            homes: key -> number; tasks of one number go to one worker as long as it lives, which then has in its cache what they need.
            patience: time that a task may take [s]; a worker that takes longer is started anew. Default: that of the engine. Where there is one
                process only, a task cannot be stopped.

        Raises:
            TaskError: a task failed or took too long; the message names its key.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class TaskError(RuntimeError):
    """A task of a node failed; the message names the node.

    Args:
        message: what failed.
        keys: the tasks among which the one that failed is.
    """

    def __init__(self, message: str, keys: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


def one_by_one(
    function: Callable[..., Any], tasks: Mapping[str, tuple[Any, ...]], limits: SolverSettings
) -> tuple[dict[str, Any], tuple[str, Exception] | None]:
    """``{key: function(*arguments)}``, and the task that failed, if one did: an error that is raised loses its cause on the way."""
    answers = {}
    for key, arguments in tasks.items():
        try:
            with limits_in_force(limits):
                answers[key] = function(*arguments)
        except Exception as error:
            return answers, (key, error)
    return answers, None


def sound(answers: dict[str, Any], failed: tuple[str, Exception] | None) -> dict[str, Any]:
    """The answers.

    Raises:
        TaskError: a task failed; the error it failed with is the cause.
    """
    if failed is not None:
        raise TaskError(f"{failed[0]}: {failed[1]}", [failed[0]]) from failed[1]
    return answers
