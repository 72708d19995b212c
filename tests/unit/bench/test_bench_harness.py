"""The harness itself: what it measures is real, what it writes can be read, what it starts ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bench import cli, cpu, machine, plot, profile, scenario
from bench.figures import Figure, Summary, cpu_figures, percentiles, summarise
from bench.processes import Process, ProcessEnded, environment, python
from bench.producer import Producer
from bench.ratios import ratios
from bench.report import FORMAT, Report, Result
from bench.sampling import Evenly
from bench.scenario import NoProbe, Scenario
from bench.scenarios import all_scenarios, bare, drain, flow, scale, watch
from bench.scripts import ScriptTimes, command_times
from opentelemetry.sdk.trace.sampling import Decision

from penstock import TaskRequest

TINY = replace(scenario.QUICK, tasks=3_000, seconds=5.0, calls=20, backlogs=(200,))


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("run", [partial(flow.run, "default"), partial(drain.run, "inline")])
def test_a_run_gives_a_rate_and_the_cpu_of_every_part(run):
    figures = {figure.name: figure for figure in run(TINY, NoProbe())}

    assert figures["rate"].value > 0
    assert figures["rate"].unit == "tasks/s"
    assert {"cpu store", "cpu server", "cpu supervisor", "cpu producer"} <= set(figures)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("run", [it.run for it in bare.SCENARIOS], ids=lambda run: run.args[0])
def test_a_bare_round_trip_is_timed_in_either_form(run):
    figures = {figure.name: figure for figure in run(TINY, NoProbe())}

    assert figures["p99"].value >= figures["p50"].value > 0
    assert {"cpu store", "cpu server", "cpu supervisor", "cpu runner", "cpu producer"} <= set(
        figures
    )


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_measurement_writes_what_it_found_and_leaves_nothing_behind(tmp_path, capsys):
    written = tmp_path / "results.json"
    arguments = ["--scenario", "memory", "--tasks", "200", "--runs", "2", "--json", str(written)]

    status = cli.main(arguments)

    assert status == 0
    report = json.loads(written.read_text())
    assert report["machine"]["cores"] >= 1
    assert report["versions"]["store"]
    assert report["versions"]["allocator"]
    assert report["versions"]["python"].endswith(sys.base_prefix)
    assert len(report["load_before"]) == 3
    (result,) = report["results"]
    (figure,) = result["figures"]
    assert figure["unit"] == "bytes/task"
    assert len(figure["values"]) == 2
    assert figure["min"] <= figure["median"] <= figure["max"]
    assert "memory" in capsys.readouterr().out


def test_every_scenario_has_a_title_of_its_own():
    titles = [found.title for found in all_scenarios()]

    assert len(titles) == len(set(titles))
    assert {"flow default", "drain inline", "memory", "lease_cost"} <= set(titles)


def test_scenarios_are_chosen_by_name_by_title_and_by_pattern():
    assert [s.variant for s in cli.choose(["flow"])] == ["default", "inline", "isolated"]
    assert [s.title for s in cli.choose(["drain inline"])] == ["drain inline"]
    assert {s.variant for s in cli.choose(["* inline"])} == {"inline"}
    assert cli.choose(["nothing"]) == []


def test_an_unknown_scenario_is_refused_with_the_way_to_the_names(capsys):
    status = cli.main(["--scenario", "nothing"])

    assert status == 2
    assert "--list" in capsys.readouterr().err


def test_quick_results_are_not_kept_as_those_of_a_version(capsys):
    status = cli.main(["--quick", "--save"])

    assert status == 2
    assert "--save" in capsys.readouterr().err


def test_figures_of_several_runs_come_to_median_and_spread():
    runs = [[Figure("rate", value, "tasks/s")] for value in (3.0, 1.0, 2.0)]

    (summary,) = summarise(runs)

    assert summary.as_json() == {
        "name": "rate",
        "unit": "tasks/s",
        "values": [3.0, 1.0, 2.0],
        "median": 2.0,
        "min": 1.0,
        "max": 3.0,
    }


def test_percentiles_are_in_milliseconds():
    p50, p99 = percentiles([0.001] * 99 + [1.0])

    assert p50.value == pytest.approx(1.0)
    assert p99.value > p50.value


def test_cpu_of_numbered_parts_is_added_up():
    before = {"server": 1.0, "runner 1": 1.0}
    after = {"server": 3.0, "runner 1": 2.0, "runner 2": 4.0}

    assert cpu.spent(before, after) == {"server": 2.0, "runner": 5.0}


def test_nodes_of_a_store_are_told_apart_and_counted_once():
    before = {"store 0": 1.0, "store 1": 1.0, "server 0": 0.0}
    after = {"store 0": 2.0, "store 1": 4.0, "server 0": 1.0}
    nodes = cpu.apart(before, after, "store")

    figures = cpu_figures(cpu.spent(before, after), 1_000_000, apart=nodes)

    found = {figure.name: figure.value for figure in figures}
    assert found["cpu store"] == 4.0
    assert (found["cpu store 0"], found["cpu store 1"]) == (1.0, 3.0)
    assert found["cpu all parts"] == 5.0
    assert cpu.apart({"store": 1.0}, {"store": 2.0}, "store") == {}, "one node says nothing more"


def test_the_children_of_every_store_node_count_as_the_store():
    me = os.getpid()
    subprocess.run([sys.executable, "-c", "sum(range(10_000_000))"], check=True)

    found = cpu.seconds_of({"store": me, "store 1": me, "server 0": me})

    assert found["store 1"] == pytest.approx(found["store"], abs=0.02)
    assert found["store 1"] > found["server 0"]


def test_what_more_nodes_would_carry_is_computed_from_the_cpu_of_the_store():
    measured = [Figure("cpu all parts", 100.0, "µs/task"), Figure("cpu store", 50.0, "µs/task")]

    figure = scale.projected(measured, 3)

    assert (figure.value, figure.unit) == (60_000.0, "tasks/s, computed")


def test_a_report_names_machine_versions_and_why_it_is_not_comparable():
    measured = Scenario(name="flow", variant="x", executor="who", run=lambda *_: [])
    report = Report(TINY, 1, ["the machine is busy"])
    report.results.append(Result(measured, summarise([[Figure("rate", 1.0, "tasks/s")]])))

    told = json.loads(json.dumps(report.as_json()))

    assert told["disquiet"] == ["the machine is busy"]
    assert told["versions"]["python"]
    assert told["results"][0]["executor"] == "who"


def test_a_product_of_another_tree_is_not_measured_as_this_one(tmp_path):
    root = Path(machine.__file__).parents[2]

    assert machine.from_elsewhere(root) == []
    assert [place.name for place in machine.from_elsewhere(tmp_path)] == [
        "penstock",
        "penstock_server",
        "penstock_worker",
    ]


def test_a_process_that_ends_too_soon_says_what_it_wrote(tmp_path):
    process = Process("bad", python("penstock_server", "--no-such-flag"), tmp_path, piped=False)

    with pytest.raises(ProcessEnded, match="no-such-flag"):
        process.wait_until(lambda: False)

    process.end()
    assert process.pid not in {left.pid for left in machine.leftovers()}


def test_measured_processes_see_no_setting_of_the_person_at_the_keyboard():
    found = environment({"PENSTOCK_ADDRESS": "example.org", "HOME": "/home/a"})

    assert "PENSTOCK_ADDRESS" not in found
    assert found["HOME"] == "/home/a"


def test_the_busiest_functions_are_told_by_own_time_and_with_callees():
    text = profile.tops(["main;serve;parse 3", "main;serve 1"])

    own, whole = text.split("with what it called")
    assert "75.0%  parse" in own
    assert "100.0%  main" in whole


def test_each_process_has_files_of_its_own_in_a_profile():
    names = profile.file_names(["store 0", "store 1", "server 0", "producer", "runner 0.77"])

    assert list(names.values()) == ["store-0", "store-1", "server", "producer", "runner"]


@pytest.mark.parametrize(("native", "flag"), [(True, "--native"), (False, "--nonblocking")])
def test_a_profile_halts_processes_only_to_see_c_code(native: bool, flag: str):
    command = profile.recording("py-spy", 1, Path("server.folded"), native=native)

    assert {"--native", "--nonblocking"} & set(command) == {flag}, "py-spy refuses both together"


def test_the_time_of_the_store_is_told_per_task():
    nodes = [
        {"cmdstat_hset": {"calls": 15, "usec": 30}},
        {"cmdstat_hset": {"calls": 5, "usec": 10}},
    ]
    statistics = command_times(nodes)

    assert statistics == {"cmdstat_hset": {"calls": 20, "usec": 40}}
    text = profile.store_text(statistics, [ScriptTimes("submit", 2, 100)], 10)

    assert "10.00" in text  # 100 µs of the script over 10 tasks
    assert "hset" in text


def summary(name: str, *values: float) -> Summary:
    return Summary(name, "", values)


def test_penstock_is_compared_with_each_peer_run_by_run():
    found = {
        "drain default": [summary("rate", 20.0, 30.0, 10.0)],
        "peer_drain A kept": [summary("rate", 10.0, 10.0, 10.0)],
        "round_trip default": [summary("p50", 2.0, 2.0, 2.0), summary("p99", 9.0, 9.0, 9.0)],
        "peer_round_trip A kept": [summary("p50", 1.0, 1.0, 4.0)],
        "peer_singles A kept": [summary("rate", 1.0, 1.0, 1.0)],
    }

    drained, trip = ratios(found)

    assert (drained.theirs, drained.median, drained.min, drained.max) == ("A kept", 2.0, 1.0, 3.0)
    assert (trip.figure, trip.median) == ("p50", 0.5), "a shorter round trip is the better one"


def test_peers_are_left_out_where_they_are_not_installed_and_asked_for_by_name(monkeypatch, capsys):
    monkeypatch.setattr(cli, "missing", lambda: "make bench-peers")

    everything = cli.choose([])
    status = cli.main(["--scenario", "peer_flow*"])

    assert not [it for it in everything if it.name.startswith("peer_")]
    assert status == 2
    assert "make bench-peers" in capsys.readouterr().err


def test_versions_name_what_the_peers_are_pinned_to():
    versions = machine.versions()

    assert {"peer celery", "peer bullmq", "peer taskiq-redis"} <= set(versions)


@pytest.mark.parametrize(
    ("library", "built_in", "allocator", "advises"),
    [
        ("libjemalloc.so.2", "libc", "libjemalloc.so.2", False),
        (None, "jemalloc-5.3.0", "jemalloc-5.3.0", False),
        (None, "libc", "libc", True),
    ],
)
def test_a_store_without_jemalloc_is_told_of_before_it_is_measured(
    monkeypatch, library, built_in, allocator, advises
):
    monkeypatch.delenv("LD_PRELOAD", raising=False)
    monkeypatch.setattr("penstock_server.embedded.allocator.find_library", lambda _: library)
    said = f"Valkey server v=9.1.2 sha=00000000:0 malloc={built_in} bits=64 build=0"
    monkeypatch.setattr(machine, "_store_version", lambda: said)

    advice = machine.advice()

    assert machine.allocator() == allocator

    assert any("apt-get install libjemalloc2" in line for line in advice) is advises


def test_results_are_drawn_as_png_and_svg(tmp_path):
    results = {
        "format": FORMAT,
        "results": [
            {
                "scenario": scenario,
                "variant": variant,
                "figures": [{"name": "rate", "median": 2.0, "min": 1.0, "max": 3.0}],
            }
            for scenario, variant in [("flow", "default"), ("peer_flow", "BullMQ kept")]
        ],
        "machine": {"cpu": "a processor", "cores": 2},
        **{"durability": "none", "runs": 1, "time": "2026-11-21", "commit": "abc"},
    }
    source = tmp_path / "results.json"
    source.write_text(json.dumps(results))

    assert cli.main(["--plot-of", str(source), "--plot", str(tmp_path / "drawn")]) == 0

    drawn = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert drawn == {"rates.png", "rates.svg", "cpu.png", "cpu.svg"}
    assert "BullMQ kept" in (tmp_path / "drawn" / "rates.svg").read_text()
    plot.plot(results, tmp_path / "again")
    for name in drawn:
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (tmp_path / "drawn" / name).read_bytes(), "the same results, the same file"


class Taken:
    """A client that takes everything and keeps it."""

    def __init__(self) -> None:
        self.requests: list[TaskRequest] = []

    async def submit_many(self, requests: Iterable[TaskRequest]) -> list[Any]:
        """Takes them; there are no results to look at."""
        self.requests += requests
        return []


async def test_tasks_of_many_groups_are_spread_evenly_however_often_some_are_submitted():
    client: Any = Taken()
    producing = Producer(client)

    await producing.do_batches(tasks=4, groups=3)
    await producing.do_batches(tasks=2, groups=3)

    assert [request.fairness_key for request in client.requests] == ["0", "1", "2", "0", "1", "2"]


def test_a_watched_event_is_late_by_the_time_since_its_submit():
    sent = {"a": 1.0, "b": 2.0}

    assert watch.lags(sent, [("b", 2.5), ("a", 1.25), ("b", 4.0)]) == [0.5, 0.25, 2.0]


@pytest.mark.parametrize(("share", "sampled"), [(0.0, 0), (0.01, 10), (0.3, 300), (1.0, 1_000)])
def test_a_share_of_the_traces_is_sampled_evenly(share: float, sampled: int):
    sampler = Evenly(share)

    decisions = [sampler.should_sample(None, 1, "send").decision for _ in range(1_000)]

    assert decisions.count(Decision.RECORD_AND_SAMPLE) == sampled
    assert decisions[:500].count(Decision.RECORD_AND_SAMPLE) == sampled // 2


@pytest.mark.parametrize("text", [None, "not JSON", "[]", '{"format": 0}'])
def test_what_is_no_result_is_not_drawn_and_the_message_names_the_file(text, tmp_path, capsys):
    source = tmp_path / "results.json"
    if text is not None:
        source.write_text(text)

    status = cli.main(["--plot-of", str(source), "--plot", str(tmp_path / "drawn")])

    assert status == 1
    assert str(source) in capsys.readouterr().err


def test_without_what_draws_the_message_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(plot.PlotterMissing, match="pip install"):
        plot.plot({"results": []}, tmp_path)
