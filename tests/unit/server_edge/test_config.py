"""Settings: where they come from, and what is said about wrong ones."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from penstock_server.config import (
    Address,
    ConfigError,
    configuration_page,
    load_config,
    load_with_origins,
    settings_table,
)

ROOT = Path(__file__).resolve().parents[3]


def load(folder: Path, flags: dict[str, str] | None = None, **environ: str):
    return load_config(flags=flags, environ=environ, folder=folder)


def problem_of(folder: Path, flags: dict[str, str] | None = None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, flags, **environ)
    return str(caught.value)


def test_defaults_listen_on_this_machine_only_and_embed_the_store(tmp_path: Path) -> None:
    config = load(tmp_path)

    assert config.listen == Address("127.0.0.1", 7700)
    assert config.metrics == Address("127.0.0.1", 7790)
    assert config.store.url.is_embedded
    assert config.lease.term == timedelta(seconds=60)
    assert config.limits.payload_bytes == 1 << 20


def test_flags_win_over_environment_over_override_over_file(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text(
        "{lease: {term: 11s, accept_within: 11s}, drain: {grace: 11s}, limits: {call_timeout: 11s}}"
    )
    (tmp_path / "penstock.override.yaml").write_text(
        "{lease: {accept_within: 12s}, drain: {grace: 12s}, limits: {call_timeout: 12s}}"
    )
    environ = {"PENSTOCK_DRAIN__GRACE": "13s", "PENSTOCK_LIMITS__CALL_TIMEOUT": "13s"}

    config = load(tmp_path, {"limits.call_timeout": "14s"}, **environ)

    lease, limits = config.lease, config.limits
    spans = (lease.term, lease.accept_within, config.drain.grace, limits.call_timeout)
    assert [span.total_seconds() for span in spans] == [11, 12, 13, 14]


def test_every_setting_remembers_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("limits: {namespaces: 5}")

    loaded = load_with_origins(
        flags={"listen": "127.0.0.1:0"}, environ={"PENSTOCK_DATA": "/srv/x"}, folder=tmp_path
    )

    assert loaded.origins["limits.namespaces"] == str(tmp_path / "penstock.yaml")
    assert loaded.origins["data"] == "environment variable PENSTOCK_DATA"
    assert loaded.origins["listen"] == "flag --listen"
    assert loaded.origins["lease.term"] == "default"


def test_wrong_key_in_a_file_is_named_with_its_file_and_near_matches(tmp_path: Path) -> None:
    (tmp_path / "penstock.override.yaml").write_text("lease: {tern: 30s}")

    problem = problem_of(tmp_path)

    assert "penstock.override.yaml: lease.tern" in problem
    assert "`lease.term`" in problem


def test_wrong_key_in_the_environment_is_named_with_its_variable(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, PENSTOCK_RETENTION__ENDED_AGES="1h")

    assert "PENSTOCK_RETENTION__ENDED_AGES" in problem
    assert "`retention.ended_age`" in problem


def test_variables_of_clients_and_workers_are_no_settings(tmp_path: Path) -> None:
    config = load(tmp_path, PENSTOCK_ADDRESS="x:1", PENSTOCK_API_KEY="psk_a_b", PENSTOCK_CI="1")

    assert config == load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("lease.term", "60", "a number and a unit"),
        ("lease.term", "4s", "greater than or equal to 5 seconds"),
        ("limits.payload_bytes", "1 MB", "KiB"),
        ("limits.namespaces", "many", "integer"),
        ("listen", "7700", "host:port"),
        ("listen", "127.0.0.1:99999", "host:port"),
        ("store.url", "postgres://x", "redis://"),
        ("log.level", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("security.tls_cert", "/no/such/file.pem", "there is no file"),
    ],
)
def test_wrong_value_is_named_with_its_flag_and_what_to_write(
    tmp_path: Path, key: str, value: str, said: str
) -> None:
    problem = problem_of(tmp_path, {key: value})

    assert key in problem
    assert "flag --" in problem
    assert said in problem


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("lease: {tern: 30s}\nlimits: {namespaces: none}")

    problem = problem_of(tmp_path, PENSTOCK_LISTN="x")

    assert len(problem.splitlines()) == 3


def test_password_of_the_store_is_never_printed(tmp_path: Path) -> None:
    config = load(tmp_path, PENSTOCK_STORE="redis://me:hunter2@store:6379/0")

    printed = f"{config} {config!r} {config.store.url} {config.model_dump_json()}"

    assert "hunter2" not in printed
    assert "redis://me:***@store:6379/0" in printed
    assert config.store.url.secret_text == "redis://me:hunter2@store:6379/0"


def test_wrong_store_url_is_refused_without_showing_it(tmp_path: Path) -> None:
    assert "hunter2" not in problem_of(tmp_path, PENSTOCK_STORE="radis://me:hunter2@store")


def test_words_that_yaml_reads_as_truth_values_mean_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("metrics: off\nsecurity: {keys: on}")

    config = load(tmp_path)

    assert config.metrics is None
    assert config.security.keys == "on"


def test_named_file_that_does_not_exist_is_an_error_and_a_default_one_is_not(
    tmp_path: Path,
) -> None:
    load(tmp_path)

    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(config_file=tmp_path / "mine.yaml", environ={}, folder=tmp_path)


def test_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "penstock.yaml").write_text("lease: [")

    assert "penstock.yaml" in problem_of(tmp_path)


def test_address_beyond_this_machine_is_refused_without_tls_and_identity(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"listen": "0.0.0.0:7700"})

    assert "--insecure" in problem
    assert "security.tls_cert" in problem


def test_keys_without_tls_do_not_open_an_address_beyond_this_machine(tmp_path: Path) -> None:
    flags = {"listen": "0.0.0.0:7700", "security.keys": "on"}

    assert "--insecure" in problem_of(tmp_path, flags)


def test_tls_without_identity_does_not_open_an_address_beyond_this_machine(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("")
    flags = {"listen": "0.0.0.0:1", "security.tls_cert": str(pem), "security.tls_key": str(pem)}

    assert "--insecure" in problem_of(tmp_path, flags)
    assert load(tmp_path, {**flags, "security.keys": "on"}).listen.port == 1


def test_insecure_is_said_aloud_and_then_accepted(tmp_path: Path) -> None:
    config = load(tmp_path, {"listen": "0.0.0.0:7700", "security.insecure": "true"})

    assert not config.listen.is_loopback


def test_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.write_text("")

    assert "set both" in problem_of(tmp_path, {"security.tls_cert": str(pem)})


def test_certificate_rules_come_from_a_file_or_a_variable(tmp_path: Path) -> None:
    rules = "[{name: '*.workers.test', role: worker, namespaces: [prod]}]"
    pem = tmp_path / "any.pem"
    pem.touch()
    asked_for = f"require_client_cert: true, tls_cert: {pem}, tls_key: {pem}, tls_ca: {pem}"
    (tmp_path / "penstock.yaml").write_text(f"security: {{certificates: {rules}, {asked_for}}}")
    (tmp_path / "asked").mkdir()
    (tmp_path / "asked" / "penstock.yaml").write_text(f"security: {{{asked_for}}}")

    from_file = load(tmp_path)
    from_variable = load(tmp_path / "asked", PENSTOCK_SECURITY__CERTIFICATES=rules)

    assert from_file.security.certificates == from_variable.security.certificates
    assert from_file.security.certificates[0].role == "worker"


def test_certificate_rules_are_refused_where_no_certificate_is_asked_for(tmp_path: Path) -> None:
    rules = "[{name: '*.workers.test', role: worker, namespaces: [prod]}]"

    with pytest.raises(ConfigError, match="require_client_cert=true"):
        load(tmp_path, PENSTOCK_SECURITY__CERTIFICATES=rules)


def test_every_setting_has_a_meaning_and_a_variable_that_sets_it(tmp_path: Path) -> None:
    rows = settings_table()

    assert all(len(row.meaning) > 8 for row in rows)
    settable = [row for row in rows if row.default not in ("unset", "[]")]
    environ = {row.variable: row.default for row in settable}
    assert load_config(environ=environ, folder=tmp_path) == load(tmp_path)


def test_configuration_page_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "configuration.md"

    assert page.read_text(encoding="utf-8") == configuration_page(), (
        "write it anew: .venv/bin/python -m penstock_server.config >docs/reference/configuration.md"
    )
