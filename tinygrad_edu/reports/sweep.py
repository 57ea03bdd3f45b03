"""Many runs: which, in what order, in how many processes. What fails, dies or is stopped takes nothing from the others.

A job is one run in one mode with one seed; parallel ones are processes of one thread each, through joblib, whose
backends carry them to the cores of this machine (loky) or to a cluster (dask). They share a file system: a job leaves
its folder in `out`, its progress is read from there, and a file there tells all to stop. Left out: more than one thread
a job. Read next: runner.py, which carries out one; docs/sweeps.md.
"""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import debug_words, set_num_threads
from ..datasets import ImageDataset
from ..datasets.download import reason
from ..train.folder import make_folder
from ..train.progress import progress
from . import RUNS, find, report_of
from .figures import draw_result
from .interrupts import children_without_interrupts, first_interrupt
from .report import Options, Result, Run
from .runner import carry_out, check, folder_name, to_stderr

BACKENDS = ("loky", "dask")
MOST_SEEDS = 10_000  # of a run: each is a folder
BOTH = "both"  # a mode: each of the report's in turn, or the only way there is
ONE = threading.Lock()  # a process has one random state; a dask worker may have several threads
Load = Callable[[str, str | None], tuple[ImageDataset, ImageDataset]]


@dataclass(frozen=True)
class Job:
    """One run in one mode with one seed."""

    run: str
    options: Options

    @property
    def settings(self) -> dict[str, Any]:
        """All that determines it but the data."""
        return report_of(self.run).settings(find(self.run), self.options)

    @property
    def folder(self) -> Path:
        """Where it leaves what it finds."""
        return Path(self.options.out) / folder_name(self.run, self.settings.get("mode"), self.options.seed)

    @property
    def title(self) -> str:
        """Its folder's name, which says it all."""
        return self.folder.name


@dataclass
class Outcome:
    """What came of a job: a result, or an error, or neither when it was stopped."""

    job: Job
    result: Result | None = None
    error: str = ""
    resumable: bool = False  # the error is one of the machine's, and the run can go on
    told: list[str] = field(default_factory=list)  # what it had to say on the way
    figures: list[str] = field(default_factory=list)  # lines that say where they are


def select(names: Sequence[str]) -> list[Run]:
    """The runs that are meant: each name is an id, or else the beginning of ids, or else a pattern such as r1-*-8.

    Raises ValueError for a name that is none of these."""
    found: dict[str, Run] = {}
    for name in names:
        begun = [run for run in RUNS if name and run.startswith(name)]
        meant = [name] if name in RUNS else begun or fnmatch.filter(RUNS, name)
        found |= {run: RUNS[run] for run in meant} or {name: find(name)}
    return list(found.values())


def jobs_of(runs: Sequence[Run], options: Options, seeds: int = 1) -> list[Job]:
    """A job for each run, mode and seed, the seeds counted up from that of the options; a mode may be BOTH, which is
    only the first where the run is alike in all.

    Raises ValueError for options that a run does not take, and seeds that there are not."""
    if seeds > MOST_SEEDS:
        raise ValueError(f"expected {MOST_SEEDS:,} seeds at most, got {seeds:,}")
    if options.seed + seeds > 2**32:
        raise ValueError(f"there are no {seeds} seeds from {options.seed} on: the last is 2^32 - 1")
    jobs = []
    for run in runs:
        modes: Sequence[str | None] = (options.mode,)
        if options.mode == BOTH:
            modes = report_of(run.name).MODES[: 1 if run.alike else None] or (None,)
        for mode in modes:
            for seed in range(options.seed, options.seed + seeds):
                job = Job(run.name, replace(options, mode=mode, seed=seed))
                check(run, job.options)
                jobs.append(job)
    return jobs


def length(job: Job) -> float:
    """About how long it takes, to start with the longest: the report's seconds, where it tells them, else a
    millisecond a step."""
    run = find(job.run)
    seconds, minutes = getattr(run, "seconds", None), getattr(run, "minutes", None)
    told = seconds or (minutes * 60 if minutes else run.epochs * 60_000 / getattr(run, "batch", 128) / 1000)
    return float(told * job.settings["epochs"] / run.epochs)


@functools.lru_cache(maxsize=8)
def data_of(sweep: str, load: Load, name: str, root: str | None) -> tuple[ImageDataset, ImageDataset]:
    """The data set, read once in a process for all the jobs of a sweep."""
    return load(name, root)


def work(
    job: Job,
    sweep: str,
    load: Load,
    tell: Callable[[str], Any] | None = None,
    stop: Callable[[], bool] = lambda: False,
    show: bool = False,
) -> Outcome:
    """Carry out a job, and draw its figures. What goes wrong is an outcome. Raises KeyboardInterrupt when stopped."""
    outcome = Outcome(job)
    run = find(job.run)
    tell = tell or outcome.told.append
    try:
        data = data_of(sweep, load, run.data, job.options.data)
        outcome.result = carry_out(run, job.options, data, tell, stop, show)
        outcome.figures = draw_result(outcome.result)
    except (RuntimeError, ValueError, OSError, MemoryError) as error:  # these say what is wrong
        if "trace" in debug_words():
            raise
        outcome.error = reason(error)
        outcome.resumable = isinstance(error, (OSError, MemoryError)) and any(job.folder.glob("checkpoint-*"))
    except Exception as error:
        if "trace" in debug_words():
            raise
        outcome.error = f"{type(error).__name__}: {error} (TG_DEBUG=trace shows where)"
    return outcome


def last_words(error: Exception) -> str:
    """What joblib says of a dead process, in a line: the exit codes, where it knows them."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line for line in lines if "exit codes" in line), lines[0])


def remote_work(job: Job, stop_file: Path, load: Load, home: int, local: bool) -> Outcome:
    """`work` in another process: on one thread, until there is a `stop_file` or, if local, no process `home` more."""

    def stop() -> bool:
        return stop_file.exists() or (local and os.getppid() != home)

    set_num_threads(1)
    try:
        with ONE:
            return Outcome(job) if stop() else work(job, stop_file.name, load, stop=stop)
    except KeyboardInterrupt:
        if os.getpid() == home:  # joblib uses no other process where there is but one worker
            raise
        return Outcome(job)
    finally:
        if local and os.getppid() != home:
            os._exit(1)  # nobody will ask for more


def carry_out_all(
    jobs: Sequence[Job],
    load: Load,
    workers: int | None = None,
    backend: str = "loky",
    scheduler: str | None = None,
) -> Iterator[Outcome]:
    """Carry out jobs and give the outcome of each as soon as it is there.

    One after the other in this process, or, with more than one worker or on a cluster, in processes of their own, the
    longest first. After a Ctrl-C, jobs save where they are, those not begun are left out, and KeyboardInterrupt is
    raised. Raises ImportError where joblib or dask are needed and missing, OSError where there is no scheduler.
    """
    if backend == "loky" and (workers or 1) == 1:
        sweep = uuid.uuid4().hex
        for job in jobs:
            yield work(job, sweep, load, to_stderr, show=True)
        return
    out = Path(jobs[0].options.out).absolute()
    make_folder(out)
    stop_file = out / f".stop-{uuid.uuid4().hex}"
    call = functools.partial(remote_work, stop_file=stop_file, load=load, home=os.getpid(), local=backend == "loky")
    waiting, suspects = sorted(jobs, key=length, reverse=True), list[Job]()
    workers = workers and min(workers, max(2, len(jobs)))  # joblib starts as many as it is told
    with pool(backend, workers, scheduler) as (count, shut), watched(jobs) as over, first_interrupt(stop_file.touch):
        try:
            while waiting or suspects:
                # One of those that were running killed its process, and joblib all others. They go on alone, at last.
                alone = not waiting
                batch, begun = (suspects if alone else waiting), dict[str, Job]()
                try:
                    for outcome in parallel(call, batch, begun, 1 if alone else count):
                        del begun[outcome.job.title]
                        batch.remove(outcome.job)
                        over(outcome)
                        yield outcome
                except Exception as error:
                    if "trace" in debug_words():
                        raise
                    for job in begun.values():
                        batch.remove(job)
                        if alone:
                            outcome = Outcome(job, error=f"its process died: {last_words(error)}", resumable=True)
                            over(outcome)
                            yield outcome
                        else:
                            suspects.append(Job(job.run, replace(job.options, resume=True)))
                    shut()
            if stop_file.exists():
                raise KeyboardInterrupt
        finally:
            stop_file.unlink(missing_ok=True)


def parallel(
    call: Callable[[Job], Outcome], jobs: Sequence[Job], begun: dict[str, Job], together: int
) -> Iterator[Outcome]:
    """The outcomes of jobs, as they come, so many running together; those begun and not over stand in `begun`."""
    import joblib

    def tasks() -> Iterator[Any]:
        for job in list(jobs):
            begun[job.title] = job
            yield joblib.delayed(call)(job)

    with children_without_interrupts():
        outcomes = joblib.Parallel(batch_size=1, pre_dispatch=together, return_as="generator_unordered")(tasks())
    yield from outcomes


@contextlib.contextmanager
def pool(backend: str, workers: int | None, scheduler: str | None) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Within, joblib uses these workers; gives their number, and a function that ends their processes.

    Raises ImportError where joblib or dask.distributed are missing, OSError when the scheduler does not answer."""
    try:
        import joblib
        from joblib.externals.loky import get_reusable_executor
    except ImportError:
        raise ImportError("parallel runs need joblib: pip install 'tinygrad_edu[examples]'") from None
    if backend == "loky":
        count = workers or joblib.cpu_count()

        def shut() -> None:
            get_reusable_executor().shutdown(wait=True, kill_workers=True)

        with joblib.parallel_config(backend="loky", n_jobs=count, inner_max_num_threads=1):
            try:
                yield count, shut
            finally:
                shut()
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ImportError("dask runs need dask.distributed: pip install 'tinygrad_edu[cluster]'") from None
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            with children_without_interrupts():
                count = workers or joblib.cpu_count()
                cluster = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0")
            stack.enter_context(cluster)
        client = stack.enter_context(Client(scheduler or cluster))
        stack.enter_context(joblib.parallel_config(backend="dask"))
        count = workers or sum(client.ncores().values())
        yield count, lambda: None


@contextlib.contextmanager
def watched(jobs: Sequence[Job]) -> Iterator[Callable[[Outcome], Any]]:
    """Within, progress is shown, in epochs of all jobs, read from their logs; gives what to call when one is over."""
    start, lock, ended = time.time(), threading.Lock(), threading.Event()
    epochs = {job.folder: job.settings["epochs"] for job in jobs}
    seen = dict.fromkeys(epochs, 0)

    def note(folder: Path, count: int, **news: str) -> None:
        with lock:
            bar.advance(count - seen[folder], **news)
            seen[folder] = count

    def look() -> None:
        while not ended.wait(1.0):
            for folder in epochs.keys() - done:
                with contextlib.suppress(OSError):
                    log = folder / "log.jsonl"
                    if log.stat().st_mtime >= start:  # an older one is about to be removed
                        note(folder, log.read_bytes().count(b"\n"))

    def over(outcome: Outcome) -> None:
        folder = outcome.job.folder
        done.add(folder)
        if outcome.result is not None or outcome.error:
            for line in [*outcome.told, told(outcome)]:
                bar.line(line)
            note(folder, epochs[folder], runs=f"{len(done)} of {len(jobs)}")

    done: set[Path] = set()
    with progress(f"{len(jobs)} runs", sum(epochs.values()), unit="epochs") as bar:
        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield over
        finally:
            ended.set()
            thread.join()


def told(outcome: Outcome) -> str:
    """An outcome in a line."""
    if outcome.result is None:
        return f"{outcome.job.title}: {outcome.error or 'stopped'}"
    metrics = outcome.result.metrics
    return f"{outcome.job.title}: test accuracy {metrics['test_accuracy']:.2f} %, {metrics['train_seconds']:.1f} s"
