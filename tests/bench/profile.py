"""Profiles of the measured part of a run, one set of files per part, in a folder.

- `<part>.folded`: call stacks with their counts; speedscope and every flame graph tool read them.
- `<part>.top.txt`: the functions that used the most time, alone and with what they called.
- `<part>.threads.txt`: CPU seconds of each thread; gRPC's own threads show only here.
- `store.txt`: the store's own command statistics, and the time of each script; all nodes together.

Where a part is several processes, each has its own files, e.g. `server-1.top.txt`.

A profiled run is slower than others: its figures say where time goes, not how much there is.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench import cpu
from bench.processes import ProcessEnded
from bench.scenario import Place
from bench.scripts import ScriptTimes, command_times, script_times, watch_scripts

_RATE: Final = 200
_SHOWN: Final = 60
# Longer than any run; the recorder is told to stop before.
_LONGEST: Final = 3_600


class ProfilerMissing(Exception):
    """The profiler is not installed."""


class Profiler:
    """Records every part of the sites that it is shown, into one folder per run."""

    def __init__(self, folder: Path, title: str, *, native: bool = False) -> None:
        self._folder = folder
        self._title = title
        self._native = native
        self._program = find_profiler()
        self._runs = 0
        self._recorders: dict[str, subprocess.Popen[bytes]] = {}
        self._names: dict[str, str] = {}

    def begin(self, site: Place) -> None:
        """Begins to record every process of the site."""
        self._runs += 1
        self._into = self._folder / f"{self._title} {self._runs}".replace(" ", "-")
        self._into.mkdir(parents=True, exist_ok=True)
        watch_scripts(site.store)
        pids = site.pids()
        self._names = file_names(list(pids))
        for part, pid in pids.items():
            if cpu.part_of(part) != "store":
                self._recorders[part] = self._record(part, pid)

    def end(self, site: Place, tasks: int) -> None:
        """Stops recording and writes the files."""
        threads = {part: cpu.threads_of(pid) for part, pid in site.pids().items()}
        for recorder in self._recorders.values():
            recorder.send_signal(signal.SIGINT)
        for part, recorder in self._recorders.items():
            recorder.wait(60)
            _write_tops(self._folded(part), self._file(part, "top.txt"))
        self._recorders.clear()
        for part, found in threads.items():
            lines = [f"{seconds:8.2f} s  {name}\n" for name, seconds in found]
            self._file(part, "threads.txt").write_text("".join(lines))
        statistics = command_times(site.store.info("commandstats"))
        (self._into / "store.txt").write_text(
            store_text(statistics, script_times(site.store), tasks)
        )

    def _record(self, part: str, pid: int) -> subprocess.Popen[bytes]:
        command = recording(self._program, pid, self._folded(part), native=self._native)
        with self._file(part, "log").open("wb") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def _folded(self, part: str) -> Path:
        return self._file(part, "folded")

    def _file(self, part: str, ending: str) -> Path:
        return self._into / f"{self._names.get(part) or part.replace(' ', '-')}.{ending}"


def recording(program: str, pid: int, folded: Path, *, native: bool) -> list[str]:
    """The command that records a process into a file."""
    return [
        *(program, "record", "--pid", str(pid), "--format", "raw"),
        *("--rate", str(_RATE), "--duration", str(_LONGEST)),
        *("--output", str(folded)),
        # To see C frames the recorder must halt the process for each sample.
        "--native" if native else "--nonblocking",
    ]


def file_names(processes: Sequence[str]) -> dict[str, str]:
    """The name of each process's files: its part, with a number where the part has several."""
    parts = Counter(map(cpu.part_of, processes))
    seen: Counter[str] = Counter()
    names = {}
    for process in processes:
        part = cpu.part_of(process)
        names[process] = f"{part}-{seen[part]}" if parts[part] > 1 else part
        seen[part] += 1
    return names


def find_profiler() -> str:
    """Where py-spy is. Raises ProfilerMissing."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ProfilerMissing(
            "--profile needs py-spy: install it beside this Python, e.g. with "
            f"`{sys.executable} -m pip install py-spy`"
        )
    return found


def _write_tops(folded: Path, path: Path) -> None:
    if not folded.exists():
        raise ProcessEnded(
            f"py-spy wrote no {folded.name}: {folded.with_suffix('.log').read_text()[-500:]}"
        )
    path.write_text(tops(folded.read_text(encoding="utf-8").splitlines()))


def tops(lines: Sequence[str]) -> str:
    """The busiest functions of folded stacks, by own time and by time with what they called."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    total = max(1, sum(own.values()))
    parts = [f"{total} samples\n"]
    for title, counts in (("own time", own), ("with what it called", whole)):
        parts.append(f"\n{title}\n")
        parts += [f"{n / total:7.1%}  {name}\n" for name, n in counts.most_common(_SHOWN)]
    return "".join(parts)


def store_text(statistics: dict[str, Any], scripts: Sequence[ScriptTimes], tasks: int) -> str:
    """Time of the store per task, by script and by command."""
    lines = [f"{tasks} tasks\n\nscript            calls  µs/call  µs/task\n"]
    for script in scripts:
        micros = script.microseconds
        lines.append(
            f"{script.name:15}{script.calls:8}{micros / script.calls:9.1f}{micros / tasks:9.2f}\n"
        )
    lines.append("\ncommand                      calls  µs/call  µs/task  calls/task\n")
    rows = sorted(statistics.items(), key=lambda row: -row[1]["usec"])
    for name, row in rows:
        name, calls, micros = name.removeprefix("cmdstat_"), row["calls"], row["usec"]
        lines.append(
            f"{name:22}{calls:12}{micros / max(1, calls):9.2f}{micros / tasks:9.2f}"
            f"{calls / tasks:12.2f}\n"
        )
    return "".join(lines)
