"""Checks that ask the store itself: is it durable, can it fill up, is its clock right."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penstock.cli.checkup.findings import Finding, fail, ok, warn

if TYPE_CHECKING:
    from redis import Redis

_LEAST_REDIS: Final = (7, 0)
_LEAST_VALKEY: Final = (8, 0)
_LEAST_FREE: Final = 1 << 30
_SKEW: Final = 1.0
_ALWAYS: Final = (
    "append-only file, fsync always: an acknowledged submit is never lost, whatever dies "
    "(promise P1)"
)
_EVERYSEC: Final = (
    "append-only file, fsync everysec: nothing is lost when servers, workers or clients die; "
    "a crash of the store process or its machine can lose up to about 2 s of acknowledged writes "
    "(promise P1)"
)


def check(flags: dict[str, str], config_file: Path | None) -> Iterator[Finding]:
    """All checks of the store that is given or configured here."""
    try:
        import redis

        from penstock_server.config import ConfigError, load_config
        from penstock_server.embedded import DataFolder
    except ImportError:
        yield warn(
            "store",
            "not looked at: the server's part is not installed",
            "pip install 'penstock[server]'",
        )
        return
    try:
        config = load_config(flags=flags, config_file=config_file)
    except ConfigError as error:
        yield fail(
            "settings", str(error).replace("\n", "; "), "`penstock config` shows every setting"
        )
        return
    embedded = config.store.url.is_embedded
    folder = DataFolder(config.data)
    if embedded and not folder.socket.exists():
        yield warn(
            "store",
            f"not looked at: no embedded store runs in {config.data}",
            "name it: --store URL or --data FOLDER",
        )
        return
    url = folder.url if embedded else config.store.url.secret_text
    try:
        with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as store:
            yield from _ask(store, str(config.store.url))
    except (redis.RedisError, OSError) as error:
        yield fail(
            "store",
            f"{config.store.url} does not answer: {error}",
            "is it running, and is the URL right?",
        )
    if embedded:
        yield _disk(config.data)


def _ask(store: Redis, shown: str) -> Iterator[Finding]:
    info: dict[str, Any] = store.info()
    yield _version(info, shown)
    yield _durability(info, _settings(store))
    yield _eviction(info)
    yield _write_errors(info)
    yield from _quarantine(store)
    yield _clock(store)


def _settings(store: Redis) -> Mapping[str, str]:
    """What CONFIG GET tells; nothing where a hosted store forbids it."""
    import redis

    try:
        found: Any = store.config_get("append*", "maxmemory*")
    except redis.ResponseError:
        return {}
    return {_as_text(key): _as_text(value) for key, value in found.items()}


def _as_text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _version(info: Mapping[str, Any], shown: str) -> Finding:
    valkey = "valkey_version" in info
    name, version = (
        ("Valkey", info["valkey_version"]) if valkey else ("Redis", info["redis_version"])
    )
    least = _LEAST_VALKEY if valkey else _LEAST_REDIS
    numbers = tuple(int(part) for part in str(version).split(".")[:2])
    if numbers < least:
        wanted = ".".join(map(str, least))
        return fail(
            "store", f"{name} {version} at {shown} is too old", f"use {name} {wanted} or newer"
        )
    return ok("store", f"{name} {version} at {shown}")


def _durability(info: Mapping[str, Any], settings: Mapping[str, str]) -> Finding:
    if not int(info.get("aof_enabled", 0)):
        found = "no append-only file: a restart of the store loses tasks that were acknowledged"
        return fail(
            "durability", found, "set `appendonly yes` in the store's configuration (promise P1)"
        )
    fsync = settings.get("appendfsync")
    if fsync == "always":
        return ok("durability", _ALWAYS)
    if fsync == "everysec":
        return ok("durability", _EVERYSEC)
    if fsync is None:
        found = "append-only file is on; how often it is flushed the store does not say"
        return warn(
            "durability", found, "ask whoever runs it for `appendfsync`: always, or everysec"
        )
    found = f"append-only file, but fsync {fsync}: a crash of the machine can lose half a minute"
    return fail("durability", found, "set `appendfsync everysec` or `always` (promise P1)")


def _eviction(info: Mapping[str, Any]) -> Finding:
    policy, limit = str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    used = int(info.get("used_memory", 0))
    if limit and policy != "noeviction":
        found = f"maxmemory-policy {policy}: a full store forgets tasks"
        return fail(
            "memory", found, "set `maxmemory-policy noeviction`, so that it refuses instead"
        )
    if not limit:
        return ok("memory", f"{_size(used)} used, no bound of its own; a full machine would end it")
    share = used / limit
    found = f"{_size(used)} of {_size(limit)} used ({share:.0%})"
    if share > 0.85:
        return warn(
            "memory", found, "let workers catch up, shorten retention, or give it more memory"
        )
    return ok("memory", found)


def _write_errors(info: Mapping[str, Any]) -> Finding:
    states = {key: info.get(key) for key in ("aof_last_write_status", "aof_last_bgrewrite_status")}
    bad = [key for key, state in states.items() if state not in (None, "ok")]
    if bad:
        return fail(
            "disk writes",
            f"{', '.join(bad)} is not ok",
            "is its disk full or broken? Read the store's log",
        )
    return ok("disk writes", "the store's latest writes to disk succeeded")


def _quarantine(store: Redis) -> Iterator[Finding]:
    import redis

    count = 0
    partitions: Any = store.hget("{p0}:meta", "partitions")
    for partition in range(int(partitions or 0)):
        try:
            count += int(store.hlen(f"{{p{partition}}}:quarantine"))
        except redis.ResponseError:
            return  # a node of a cluster tells of its own partitions only
    if count:
        yield warn(
            "events",
            f"{count} entries of the event stream could not be read and were set aside",
            "watches were told CURSOR_EXPIRED there; `HGETALL {p0}:quarantine` shows why."
            " Do servers of several versions run?",
        )


def _clock(store: Redis) -> Finding:
    began = time.time()
    seconds, micros = store.time()
    middle = (began + time.time()) / 2
    skew = seconds + micros / 1e6 - middle
    if abs(skew) > _SKEW:
        side = "ahead of" if skew > 0 else "behind"
        found = f"the store's clock is {abs(skew):.1f} s {side} this machine's"
        return warn(
            "clock", found, "synchronise both, e.g. with NTP: run-at times follow the store's"
        )
    return ok(
        "clock", f"the store's clock is within {max(abs(skew) * 1000, 1):.0f} ms of this machine's"
    )


def _disk(folder: Path) -> Finding:
    disk = shutil.disk_usage(folder)
    found = f"{_size(disk.free)} free for {folder}"
    if disk.free < _LEAST_FREE:
        return fail("disk", found, "make room: a full disk stops the store")
    if disk.free < disk.total // 20:
        return warn("disk", found, "make room: less than 5 % is left")
    return ok("disk", found)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}"
        size /= 1024
    return f"{size:,.1f} GiB"
