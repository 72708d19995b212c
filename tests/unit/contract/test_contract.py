"""The contract serves every language: nothing to install, nothing to patch."""

from __future__ import annotations

import importlib
import re
import subprocess
from importlib.resources import files

import pytest

from support.tools import ROOT, require_tool

PROTO = ROOT / "proto"
SOURCES = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("penstock/v1/*.proto"))

#: What protoc generates without a plugin. The plugins of all others read the same descriptors.
LANGUAGES = ("cpp", "csharp", "java", "kotlin", "objc", "php", "pyi", "python", "ruby")


@pytest.mark.parametrize("source", SOURCES)
def test_only_the_types_that_protoc_brings_along_are_imported(source):
    imports = re.findall(r'^import "(.+)";$', (PROTO / source).read_text(), re.MULTILINE)

    foreign = [
        name for name in imports if not name.startswith(("google/protobuf/", "penstock/v1/"))
    ]

    assert foreign == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_protoc_alone_makes_code_for(language, tmp_path):
    protoc = require_tool("protoc")
    includes = [f"--proto_path={path}" for path in (PROTO, files("grpc_tools") / "_proto")]

    subprocess.run([protoc, *includes, f"--{language}_out={tmp_path}", *SOURCES], check=True)

    assert any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("source", SOURCES)
def test_generated_python_is_imported_under_the_name_of_the_proto_package(source):
    name = source.removesuffix(".proto").replace("/", ".")

    messages = importlib.import_module(f"{name}_pb2")

    assert messages.DESCRIPTOR.package == "penstock.v1"
    assert messages.DESCRIPTOR.name == source


@pytest.mark.slow
@pytest.mark.timeout(300)  # the first build compiles gRPC itself
def test_generated_go_compiles():
    go = require_tool("go")

    subprocess.run([go, "vet", "./..."], cwd=ROOT / "clients" / "go", check=True)
