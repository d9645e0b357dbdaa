"""The compose file, as far as it can be looked at without an engine: hardened, healthy in order, no secret in sight."""

import ipaddress
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

import app
from bot.listening import WANTED
from bot.settings import load_settings
from tests.deploy.image import HOUSE

FOLDER = HOUSE / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
BOTS = ("bot1", "bot2")
GUIDE = (HOUSE / "docs" / "deploy.md").read_text(encoding="utf-8")
NGINX = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
EXAMPLE = dict(
    line.split("=", 1) for line in (FOLDER / "bot.env.example").read_text(encoding="utf-8").splitlines() if "=" in line
)


@pytest.mark.parametrize("name", SERVICES)
def test_each_runs_as_nobody_with_nothing_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service and "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name in BOTS or re.fullmatch("[1-9][0-9]*:[1-9][0-9]*", service["user"]), "the bot's is in its image"
    assert ":" in service["image"] and not service["image"].endswith(":latest")
    assert "/tmp" in service["tmpfs"][0]


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_the_environment(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    assert all(key.endswith("_FILE") for key in environment if re.search("PASSWORD|SECRET|KEY|TOKEN|URL", key))
    assert set(SERVICES[name].get("secrets", ())) <= COMPOSE["secrets"].keys()
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())
    ignored = ["git", "check-ignore", "deploy/secrets/bot.env"]
    done = subprocess.run(ignored, cwd=HOUSE, capture_output=True, check=False)
    assert done.returncode == 0, "what is put there is never committed"


def test_each_waits_until_what_it_needs_is_healthy() -> None:
    for name, needs in (("bot1", ["db"]), ("bot2", ["db"]), ("proxy", ["bot1", "bot2"])):
        assert SERVICES[name]["depends_on"] == {need: {"condition": "service_healthy"} for need in needs}
    assert all("healthcheck" in SERVICES[name] for name in SERVICES.keys() - set(BOTS)), "the bot's is in its image"


def test_the_world_reaches_the_proxy_alone_and_the_proxy_every_instance() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert SERVICES["db"]["networks"].keys() == {"inside"} and COMPOSE["networks"]["inside"]["internal"] is True
    assert re.findall(r"^\s*server (\S+):3978", NGINX, re.MULTILINE) == list(BOTS)
    targets = {port.rpartition(":")[2] for port in SERVICES["proxy"]["ports"]}
    assert targets == set(re.findall(r"^\s*listen (\d+)", NGINX, re.MULTILINE))
    mounted = {f"/run/secrets/{name}" for name in SERVICES["proxy"]["secrets"]}
    assert mounted == set(re.findall(r"/run/secrets/\w+", NGINX))


def test_the_proxy_alone_is_believed_about_addresses() -> None:
    subnet = ipaddress.ip_network(COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"])
    fixed = {name: SERVICES[name]["networks"]["inside"]["ipv4_address"] for name in (*BOTS, "proxy")}
    assert EXAMPLE["TRUSTED_PROXIES"] == f"{fixed['proxy']}/32"
    assert all(ipaddress.ip_address(address) in subnet for address in fixed.values())
    assert len(set(fixed.values())) == 3


@pytest.mark.parametrize("bot", BOTS)
def test_the_proxy_meets_an_instance_in_that_network_alone(bot: str) -> None:
    """In several, a name may lead to any of them, and the proxy would come from an address that nobody believes."""
    assert SERVICES["proxy"]["networks"].keys() & SERVICES[bot]["networks"].keys() == {"inside"}
    assert not COMPOSE["networks"]["edge"], "an internal network publishes no ports"


def test_keys_come_as_a_folder_so_that_a_rotated_file_is_seen() -> None:
    (mounted,) = (volume for volume in COMPOSE["x-bot"]["volumes"] if "keys" in volume)
    folder, inside, mode = mounted.split(":")
    assert (folder, inside, mode) == ("./secrets/keys", str(Path(EXAMPLE["CODE_KEY_FILE"]).parent), "ro")
    assert not any("keys" in name for name in COMPOSE["secrets"])


def test_the_example_of_its_settings_starts_once_it_is_filled_in(tmp_path: Path) -> None:
    keys = tmp_path / "code_keys"
    keys.write_text(f"k1:{'A' * 43}=\n", encoding="utf-8")
    keys.chmod(0o400)
    id_ = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001"
    filled = {"CLIENT_ID": id_, "CLIENT_SECRET": "x", "TENANT_ID": id_, "ADMINS": id_, "ORGANISATION": "Contoso"}
    assert {name for name, text in EXAMPLE.items() if not text} == filled.keys()
    settings = load_settings(EXAMPLE | filled | {"CODE_KEY_FILE": str(keys)}, None)
    assert settings.store_url == "postgresql://bot:PASSWORD@db/provisioning"
    database = SERVICES["db"]["environment"]
    assert (database["POSTGRES_USER"], database["POSTGRES_DB"]) == ("bot", "provisioning")


def test_compose_itself_reads_it() -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("needs docker compose")
    config = [docker, "compose", "--file", str(FOLDER / "compose.yaml"), "config", "--format", "json"]
    done = subprocess.run(config, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["services"].keys() == SERVICES.keys()


def test_the_guide_names_every_file_that_it_needs_and_every_command_there_is() -> None:
    rows = [line for line in GUIDE.splitlines() if line.startswith("| `")]
    named = set(re.findall(r"`([\w./]+)`", " ".join(row.split("|")[1] for row in rows)))
    files = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert named == files | {"bot.env", "keys/code_keys"}
    owners = {SERVICES["proxy"]["user"].partition(":")[0], SERVICES["db"]["user"].partition(":")[0], "10001"}
    assert {owner for row in rows for owner in re.findall(r"\| (\d+), 400 \|", row)} == owners
    commands = set(get_command(app.cli).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"python app\.py ([a-z-]+)", GUIDE)) <= commands
    links = re.findall(r"\]\((\.\./[^)#]+)", GUIDE)
    assert links and all((HOUSE / "docs" / link).exists() for link in links)


def test_fifteen_thousand_devices_can_poll() -> None:
    handles = {name: SERVICES[name]["ulimits"]["nofile"] for name in (*BOTS, "proxy")}
    assert all(handles[name] >= WANTED for name in BOTS), "each instance takes what it wants"
    connections = re.search(r"worker_connections (\d+);", NGINX)
    assert connections and 2 * 15_000 < int(connections[1]) < handles["proxy"]
