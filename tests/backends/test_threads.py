"""How many threads the loops use, and that they train rightly wherever threads come from."""

import ctypes
import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tercet as tc
from tercet.backends import problem
from tercet.errors import OptionError
from tercet.kernels import threads

needs_numba = pytest.mark.skipif(problem("numba") is not None, reason="needs Numba")
CORES = threads._cores()

# Trains on both CPU backends; batches and layers are large enough for threads.
TRAIN = """
import numpy as np
import tercet as tc

def losses(backend):
    with tc.use_backend(backend):
        tc.seed(0)
        model = tc.models.Sequential(
            [tc.layers.Dense(32, 96, activation="relu"), tc.layers.Dense(96, 4)]
        )
        optimizer = tc.SGD(model.parameters(), lr=0.1)
        rng = np.random.default_rng(0)
        x, y = tc.tensor(rng.normal(size=(300, 32))), rng.integers(0, 4, 300)
        found = []
        for _ in range(4):
            optimizer.zero_grad()
            loss = tc.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            found.append(float(loss))
        return found

tc.set_default_dtype("float64")
"""
COMPARE = TRAIN + 'import json; print(json.dumps([losses("numba"), losses("numpy")]))\n'
# Four steps, each of two layers forward and backward; sums of at most 300 terms, and some 40
# roundings in the activations and the loss.
BOUND = 4 * 4 * (300 + 40) * np.finfo(np.float64).eps


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own that inherits no setting of threads."""
    settings = {*threads.VARIABLES, "NUMBA_THREADING_LAYER", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
    inherited = {k: v for k, v in os.environ.items() if k not in settings}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=inherited | environment,
        timeout=300,
    )


def output(code: str, **environment: str) -> Any:
    """What the code prints last, as JSON."""
    process = run(code, **environment)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No variable set, nothing settled, a pool of sixteen."""
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("_set", "_settled"):
        monkeypatch.setattr(threads, name, None)
    monkeypatch.setattr(threads, "_limit", lambda: threads.Threads(16, "the pool"))
    monkeypatch.setattr(threads, "container_limit", lambda: None)
    return monkeypatch


def test_the_order_of_the_rules(fresh: pytest.MonkeyPatch) -> None:
    def now() -> tuple[int, str]:
        fresh.setattr(threads, "_settled", None)
        return tc.get_num_threads(), threads.threads().reason

    assert now() == (CORES, "the cores that this process may use")
    fresh.setattr(threads, "_cores", lambda: 12)
    fresh.setattr(threads, "container_limit", lambda: 11)
    assert now() == (11, "the container's limit of CPU time")
    fresh.setenv("NUMBA_NUM_THREADS", "4")
    assert now() == (4, "the environment variable NUMBA_NUM_THREADS")
    fresh.setenv("OMP_NUM_THREADS", "5,2")
    assert now() == (5, "the environment variable OMP_NUM_THREADS")
    fresh.setenv("TERCET_NUM_THREADS", "6")
    assert now() == (6, "the environment variable TERCET_NUM_THREADS")
    tc.set_num_threads(7)
    assert now() == (7, "set_num_threads")


def test_a_container_may_allow_more_than_the_cores(fresh: pytest.MonkeyPatch) -> None:
    fresh.setattr(threads, "container_limit", lambda: CORES + 1)
    assert threads.threads().reason == "the cores that this process may use"


def test_numbas_pool_is_a_limit(fresh: pytest.MonkeyPatch) -> None:
    fresh.setenv("TERCET_NUM_THREADS", "20")
    assert tc.get_num_threads() == 16
    assert "the pool; the environment variable TERCET_NUM_THREADS: 20" in threads.threads().reason
    with pytest.raises(OptionError, match=r"from 1 to 16 \(the pool\), found 17.*TERCET_NUM_THR"):
        tc.set_num_threads(17)


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", True])
def test_set_num_threads_takes_positive_integers(fresh: pytest.MonkeyPatch, number: Any) -> None:
    before = tc.get_num_threads()
    with pytest.raises(OptionError, match=r"expected an integer from 1 to 16"):
        tc.set_num_threads(number)
    assert tc.get_num_threads() == before


@pytest.mark.parametrize("name", threads.VARIABLES)
@pytest.mark.parametrize("text", ["abc", "0", "-1", "2.5"])
def test_variables_are_positive_integers(fresh: pytest.MonkeyPatch, name: str, text: str) -> None:
    fresh.setenv(name, text)
    with pytest.raises(OptionError, match=f"{name} is .* expected an integer >= 1, found '{text}'"):
        tc.get_num_threads()


V2, V1 = "0::{}", "3:cpuset:/x\n4:cpu,cpuacct:{}\n1:name=systemd:/x"
CGROUPS: dict[str, tuple[str, dict[str, str], int | None]] = {
    "none": (V2.format("/"), {}, None),
    "v2": (V2.format("/"), {"cpu.max": "150000 100000"}, 2),
    "v2 without a limit": (V2.format("/"), {"cpu.max": "max 100000"}, None),
    "v2, less than a core": (V2.format("/a"), {"a/cpu.max": "1000 100000"}, 1),
    "v2 nested": (
        V2.format("/a/b"),
        {"a/b/cpu.max": "800000 100000", "a/cpu.max": "300000 100000", "cpu.max": "max 100000"},
        3,
    ),
    "v2 seen from a container": (V2.format("/docker/12ab"), {"cpu.max": "400000 100000"}, 4),
    "v2 beside v1": (V2.format("/a"), {"unified/a/cpu.max": "500000 100000"}, 5),
    "v1": (
        V1.format("/a"),
        {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
        3,
    ),
    "v1 without a limit": (
        V1.format("/"),
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        None,
    ),
}


@pytest.mark.parametrize("case", CGROUPS)
def test_the_limit_of_a_container(tmp_path: Path, case: str) -> None:
    groups, files, limit = CGROUPS[case]
    written = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in (written | {"proc/self/cgroup": groups}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert threads.container_limit(tmp_path) == limit


def test_no_control_groups_no_limit(tmp_path: Path) -> None:
    assert threads.container_limit(tmp_path) is None


POOL = """
import json, sys, tercet as tc
assert "numba" not in sys.modules
{before}
backend = tc.get_backend("numba")
import numba
print(json.dumps([tc.get_num_threads(), numba.config.NUMBA_NUM_THREADS]))
"""


@needs_numba
def test_numbas_pool_is_made_as_large_as_asked_for() -> None:
    more = str(CORES + 1)
    assert output(POOL.format(before="")) == [CORES, CORES]
    assert output(POOL.format(before=""), TERCET_NUM_THREADS=more) == [CORES + 1] * 2
    assert output(POOL.format(before=""), OMP_NUM_THREADS="1") == [1, 1]
    # The program's own Numba code keeps the threads that it was given.
    both = {"TERCET_NUM_THREADS": "1", "NUMBA_NUM_THREADS": more}
    assert output(POOL.format(before=""), **both) == [1, CORES + 1]
    # Fewer now do not forbid more later.
    assert output(POOL.format(before="tc.set_num_threads(1)")) == [1, CORES]


@needs_numba
def test_a_pool_that_the_program_made_itself_stays() -> None:
    code = POOL.replace("import json", "import numba; numba.get_num_threads(); import json")
    code = code.replace("assert", "#").format(before="")
    assert output(code, TERCET_NUM_THREADS=str(CORES + 1)) == [CORES, CORES]


@needs_numba
def test_waiting_threads_go_to_sleep_unless_the_user_chose() -> None:
    code = """
import json, os, tercet as tc
tc.get_backend("numba")
print(json.dumps(os.environ.get("GOMP_SPINCOUNT")))
"""
    assert output(code) == threads.SPINS
    assert output(code, GOMP_SPINCOUNT="7") == "7"
    assert output(code, OMP_WAIT_POLICY="active") is None


def agree(code: str, **environment: str) -> None:
    numba, numpy = output(code, **environment)
    np.testing.assert_allclose(numba, numpy, rtol=BOUND)


HIDE_OPENBLAS = """
import numpy as np
import tercet as tc
place, np.__file__ = np.__file__, "/nowhere/numpy/__init__.py"
tc.get_backend("numba")
np.__file__ = place
from tercet.kernels import numba_blas
assert not numba_blas.AVAILABLE
"""
HIDE_OPENMP = """
import sys
sys.modules["numba.np.ufunc.omppool"] = sys.modules["numba.np.ufunc.tbbpool"] = None
"""
ON_WORKQUEUE = 'import numba; assert numba.threading_layer() == "workqueue"\n'


@needs_numba
def test_training_on_threads() -> None:
    agree(COMPARE, TERCET_NUM_THREADS="3")


@needs_numba
def test_training_where_openmp_is_missing() -> None:
    agree(HIDE_OPENMP + COMPARE + ON_WORKQUEUE, TERCET_NUM_THREADS="2")


@needs_numba
def test_training_on_numbas_workqueue() -> None:
    agree(COMPARE + ON_WORKQUEUE, NUMBA_THREADING_LAYER="workqueue", TERCET_NUM_THREADS="2")


@needs_numba
def test_training_on_tbb() -> None:
    try:
        import_module("numba.np.ufunc.tbbpool")
    except ImportError:
        pytest.skip("no TBB that Numba can load")
    agree(COMPARE, NUMBA_THREADING_LAYER="tbb", TERCET_NUM_THREADS="2")


@needs_numba
def test_training_with_numpys_products() -> None:
    agree(COMPARE, TERCET_NUMPY_GEMM="1")


@needs_numba
def test_training_where_numpy_brings_no_openblas() -> None:
    agree(HIDE_OPENBLAS + COMPARE)


@needs_numba
def test_python_threads_may_launch_at_once_on_the_workqueue() -> None:
    """Numba's workqueue ends a process that does; our loops hold the interpreter's lock."""
    code = (
        TRAIN
        + """
import json, threading
import numba
expected = losses("numpy")
found = [[] for _ in range(4)]

def work(at):
    a = np.full((400, 400), at + 1.0)
    with tc.use_backend("numba"):
        t = tc.tensor(a)
        for _ in range(200):
            found[at].append(float((t * t).sum()))

workers = [threading.Thread(target=work, args=(at,)) for at in range(4)]
for w in workers: w.start()
for w in workers: w.join()
assert numba.threading_layer() == "workqueue"
print(json.dumps([sorted(set(f)) + [len(f)] for f in found]))
"""
    )
    found = output(code, NUMBA_THREADING_LAYER="workqueue", TERCET_NUM_THREADS="2")
    # Sums of small whole numbers are exact.
    assert found == [[400 * 400 * (at + 1.0) ** 2, 200] for at in range(4)]


FORK = (
    TRAIN
    + """
import json, multiprocessing
{before}
def work(queue):
    try:
        tc.set_num_threads(2)
        refused = ""
    except tc.TercetError as error:
        refused = str(error)
    queue.put((losses("numba"), tc.get_num_threads(), refused))

context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=work, args=(queue,))
child.start()
found, number, refused = queue.get(timeout=120)
child.join()
print(json.dumps([losses("numba"), found, child.exitcode, number, refused]))
"""
)


@needs_numba
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_trains_on_one_thread() -> None:
    """GNU OpenMP would end it: "Terminating: fork() called from a process already using ..."."""
    here, there, status, number, refused = output(
        FORK.format(before='losses("numba")'),
        NUMBA_THREADING_LAYER="omp",
        TERCET_NUM_THREADS="2",
    )
    np.testing.assert_allclose(there, here, rtol=BOUND)
    assert (status, number) == (0, 1)
    assert "this process was forked" in refused


@needs_numba
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_forked_before_the_first_loop_has_its_own_threads() -> None:
    here, there, status, number, refused = output(FORK.format(before=""), TERCET_NUM_THREADS="2")
    assert here == there
    assert (status, number, refused) == (0, 2, "")


@needs_numba
def test_numpys_own_products_keep_their_threads() -> None:
    from tercet.kernels import numba_blas

    if not numba_blas.AVAILABLE:
        pytest.skip("this NumPy has no OpenBLAS that a loop can call")
    library = ctypes.CDLL(str(numba_blas._libraries()[0]))
    used = getattr(library, numba_blas.SYMBOLS["tercet_get_num_threads"])
    before = used()
    with tc.use_backend("numba") as backend:
        a = np.ones((300, 300), np.float32)
        backend.ops.matmul(a, a)
        assert used() == before
        from numba.core.errors import TypingError
        from tercet.kernels.dense.loops import dense_forward

        options: Any = {"activation": "relu", "alpha": 0.0, "save_pre": False, "save_signs": False}
        with pytest.raises(TypingError):
            dense_forward(a.copy(), None, None, a, a.astype(object), None, **options)
        assert used() == before
