"""What stands in `deploy/` fits the command: options, paths of probes, ports, times, and nothing runs as root."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from obverse.cli.main import app
from obverse.serving.http.guard import PROBES
from obverse.serving.limits import DRAIN_SECONDS, Limits

DEPLOY = Path(__file__).parents[2] / "deploy"


def read(name):
    return (DEPLOY / name).read_text(encoding="utf-8")


def instructions():
    """(name, value) of every instruction of the Dockerfile."""
    lines = [line for line in read("Dockerfile").splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines()]


def kubernetes():
    return {part["kind"]: part for part in yaml.safe_load_all(read("kubernetes.yaml"))}


def container():
    (only,) = kubernetes()["Deployment"]["spec"]["template"]["spec"]["containers"]
    return only


def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(read("obverse.service"))
    return parser["Service"]


def commands():
    """Arguments of `obverse serve` in every file."""
    exec_start = shlex.split(unit()["ExecStart"])
    assert exec_start[0].endswith("/obverse")
    assert exec_start[1] == "serve"
    docker = dict(instructions())
    assert json.loads(docker["ENTRYPOINT"]) == ["obverse", "serve"]
    return {
        "Dockerfile": json.loads(docker["CMD"]),
        "compose.yaml": yaml.safe_load(read("compose.yaml"))["services"]["obverse"]["command"],
        "kubernetes.yaml": container()["args"],
        "obverse.service": exec_start[2:],
    }


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml", "kubernetes.yaml", "obverse.service"])
def test_the_command_takes_every_option(name):
    serve = typer.main.get_command(app).commands["serve"]
    context = serve.make_context("serve", list(commands()[name]))
    assert context.params["models"][0].startswith("model=/")
    assert context.params["port"] == 8000
    # Others can reach it only with a token: from a file, or for the plain image from the environment.
    is_local = context.params["host"] == "127.0.0.1"
    assert context.params["token_file"] is not None or name == "Dockerfile"
    assert not context.params["insecure"]
    assert is_local == (name == "obverse.service")


def test_probes_ask_for_paths_that_need_no_token():
    probes = [container()[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")]
    health = re.search(r"127\.0\.0\.1:8000(/[^']*)'", dict(instructions())["HEALTHCHECK"]).group(1)
    assert {*probes, health} <= set(PROBES)


def test_there_is_time_to_answer_what_was_accepted():
    spec = kubernetes()["Deployment"]["spec"]["template"]["spec"]
    sleep = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    compose = yaml.safe_load(read("compose.yaml"))["services"]["obverse"]
    assert spec["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + sleep
    assert int(compose["stop_grace_period"].removesuffix("s")) >= DRAIN_SECONDS
    assert int(unit()["TimeoutStopSec"]) >= DRAIN_SECONDS


def test_nothing_runs_as_root_or_writes_where_it_need_not():
    docker, spec = dict(instructions()), kubernetes()["Deployment"]["spec"]["template"]["spec"]
    assert docker["USER"] == f"{spec['securityContext']['runAsUser']}:{spec['securityContext']['runAsGroup']}"
    assert spec["securityContext"]["runAsNonRoot"]
    assert container()["securityContext"]["readOnlyRootFilesystem"]
    compose = yaml.safe_load(read("compose.yaml"))["services"]["obverse"]
    assert compose["read_only"]
    assert "ports" not in compose  # only the proxy is reached from outside
    assert unit()["DynamicUser"] == "yes"
    assert unit()["ProtectSystem"] == "strict"


def test_names_fit_each_other():
    parts, spec = kubernetes(), kubernetes()["Deployment"]["spec"]
    assert parts["Service"]["spec"]["selector"] == spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    volumes = {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container()["volumeMounts"]} == volumes
    compose = yaml.safe_load(read("compose.yaml"))
    assert set(compose["services"]["obverse"]["secrets"]) == set(compose["secrets"])
    assert (DEPLOY / compose["services"]["proxy"]["volumes"][0].split(":")[0]).is_file()
    assert (DEPLOY / ".." / compose["services"]["obverse"]["build"]["dockerfile"]).is_file()
    copied = [value.split()[:-1] for name, value in instructions() if name == "COPY"]
    assert [path for paths in copied for path in paths if not (DEPLOY.parent / path).exists()] == []


def test_the_proxy_takes_as_much_as_the_server():
    text = read("Caddyfile")
    assert text.count("{") == text.count("}")
    assert int(re.search(r"max_size (\d+)MB", text).group(1)) * 10**6 <= Limits().max_body_bytes
    assert "reverse_proxy {$UPSTREAM:obverse:8000}" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit(tmp_path):
    path = tmp_path / "obverse.service"
    path.write_text(read("obverse.service").replace("/opt/obverse/bin/obverse", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert "Unknown" not in done.stderr


@pytest.mark.skipif(shutil.which("caddy") is None, reason="needs Caddy")
def test_caddy_takes_the_file():
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    assert subprocess.run(command, env={"SITE": "localhost"}, check=False).returncode == 0


def test_kserve_serves_an_exported_folder_by_triton():
    service = yaml.safe_load(read("kserve.yaml"))
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    model = service["spec"]["predictor"]["model"]
    assert model["modelFormat"] == {"name": "triton"}
    assert model["protocolVersion"] == "v2"
    assert model["storageUri"].startswith("pvc://")
