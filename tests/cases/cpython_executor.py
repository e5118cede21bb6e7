"""CPython's own tests of executors, run against ForkExecutor. Left out are those of LEFT_OUT."""

from __future__ import annotations

import importlib
import sys
import unittest
from typing import Any

import tep_parallel

PACKAGE = "test.test_concurrent_futures"
# Those of CPython 3.10 are in one module.
MODULES = (
    "executor",
    "test_shutdown",
    "test_wait",
    "test_as_completed",
    "test_init",
    "test_deadlock",
    "test_process_pool",
    "util",
)
MIXINS = (
    "ExecutorTest",
    "ExecutorShutdownTest",
    "WaitTests",
    "AsCompletedTests",
    "InitializerMixin",
    "FailingInitializerMixin",
)
LEFT_OUT = {
    # Of ExecutorDeadlockTest.
    "test_error_at_task_pickle": "arguments are not pickled",
    "test_exit_at_task_unpickle": "arguments are not pickled",
    "test_error_at_task_unpickle": "arguments are not pickled",
    "test_crash_at_task_unpickle": "arguments are not pickled",
    "test_shutdown_deadlock_pickle": "arguments are not pickled",
    "test_exit_during_func_exec_on_worker": "SystemExit is a dead child",
    "test_exit_during_result_pickle_on_worker": "SystemExit is a dead child",
    "test_error_during_result_unpickle_in_result_handler": "it breaks no pool, it is the error",
    "test_exit_during_result_unpickle_in_result_handler": "it breaks no pool, it is the error",
    "test_gh105829_should_not_deadlock_if_wakeup_pipe_full": "it is about ProcessPoolExecutor's"
    " own pipe",
    # Of ProcessPoolExecutorTest.
    "test_max_workers_too_large": "Windows only",
    "test_killed_child": "a child that dies breaks no pool; there are none before a call",
    "test_traceback": "the cause is a RemoteTraceback of ours",
    "test_ressources_gced_in_workers": "it looks at the children of a pool",
    "test_saturation": "it looks at the children of a pool",
    "test_idle_process_reuse_one": "no child is used twice",
    "test_idle_process_reuse_multiple": "no child is used twice",
    "test_max_tasks_per_child": "no child is used twice",
    "test_max_tasks_per_child_defaults_to_spawn_context": "no child is used twice",
    "test_max_tasks_early_shutdown": "no child is used twice",
    "test_python_finalization_error": "it is about the threads of ProcessPoolExecutor",
}
_PROLOGUE = f"""import sys
sys.path[:] = {sys.path!r}
import concurrent.futures, tep_parallel
concurrent.futures.ForkExecutor = tep_parallel.ForkExecutor
"""


class ForkExecutor(tep_parallel.ForkExecutor):
    """As CPython's tests make one."""

    def __init__(self, max_workers: int | None = None, mp_context: None = None, **given: Any):
        super().__init__(max_workers, **given)


class Mixin:
    def get_context(self) -> None:
        """No start method is asked for."""


def found(name: str) -> Any:
    for module in [PACKAGE, *(f"{PACKAGE}.{part}" for part in MODULES)]:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise LookupError(name)


def patched(assert_python_ok: Any) -> Any:
    def run(*args: str, **given: Any) -> Any:
        args = (*args[:-1], _PROLOGUE + args[-1])
        return assert_python_ok(*args, **given)

    return run


def suite() -> unittest.TestSuite:
    base = found("BaseTestCase")
    executor = found("ExecutorMixin")
    executor.executor_type = ForkExecutor
    classes = []
    for name in MIXINS:
        mixin = found(name)
        module = sys.modules[mixin.__module__]
        if hasattr(module, "assert_python_ok") and not hasattr(module, "_patched"):
            module.assert_python_ok = patched(module.assert_python_ok)
            module._patched = True
        classes.append(type(name, (mixin, executor, base), {}))
    deadlock = found("ExecutorDeadlockTest")
    sys.modules[deadlock.__module__].BrokenProcessPool = tep_parallel.DeadWorkerError
    classes.append(type("ExecutorDeadlockTest", (Mixin, deadlock, executor, base), {}))
    pool = found("ProcessPoolExecutorTest")
    classes.append(type("ProcessPoolExecutorTest", (Mixin, pool, executor, base), {}))
    inherited = set(dir(found("ExecutorTest")))
    tests = unittest.TestSuite()
    for kind in classes:
        for test in unittest.defaultTestLoader.getTestCaseNames(kind):
            again = kind.__name__ == "ProcessPoolExecutorTest" and test in inherited
            if test not in LEFT_OUT and not again and (not ONLY or test in ONLY):
                tests.addTest(kind(test))
    return tests


ONLY = sys.argv[1:]
tests = suite()
print(tests.countTestCases(), "tests")
assert ONLY or tests.countTestCases() >= 37  # as many as 3.10 has
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(tests)
assert result.wasSuccessful()
