"""The Azure template, as text: nothing here compiles it, but what it names of ours has to be there."""

import re

from bot.settings import SPELLINGS, load_settings, variables
from tests.deploy.image import HOUSE

FOLDER = HOUSE / "deploy" / "azure"
BICEP = (FOLDER / "main.bicep").read_text(encoding="utf-8")
GIVEN = (FOLDER / "main.bicepparam").read_text(encoding="utf-8")
BARE = re.sub(r"'[^'\n]*'|//[^\n]*", "''", BICEP)
ENV = dict(re.findall(r"\{ name: '(\w+)', (?:value|secretRef): (.*?) \}", BICEP))
ID = "6f1d1a52-3c4e-4d0b-9a51-0c7a5be0d001"


def test_its_brackets_match() -> None:
    stack = []
    for sign in BARE:
        if sign in "{[(":
            stack.append(sign)
        elif sign in "}])":
            assert stack and stack.pop() + sign in {"{}", "[]", "()"}
    assert stack == []


def test_every_parameter_is_used_and_every_one_without_a_default_is_given() -> None:
    declared = dict(re.findall(r"^param (\w+) \w+( =)?", BICEP, re.MULTILINE))
    assert all(len(re.findall(rf"\b{name}\b", BICEP)) > 1 for name in declared)
    given = set(re.findall(r"^param (\w+) =", GIVEN, re.MULTILINE))
    assert {name for name, default in declared.items() if not default} == given
    secret = re.findall(r"@secure\(\)\n(?:@.*\n)*param (\w+)", BICEP)
    assert sorted(secret) == ["codeKeys", "databasePassword"]
    assert all(f"param {name} = readEnvironmentVariable(" in GIVEN for name in secret)


def test_every_name_it_uses_is_declared_before_or_after() -> None:
    names = set(re.findall(r"^(?:param|var|resource) (\w+)", BICEP, re.MULTILINE))
    used = set(re.findall(r"(?<!:)\b(\w+)(?:\.id\b|\.properties\b|\.name\b|::)", BARE))
    used |= set(re.findall(r"\$\{(\w+)[.}]", BICEP))
    assert used <= names


def test_the_settings_it_makes_are_ours_and_the_service_starts_with_them() -> None:
    assert ENV.keys() <= {*variables(), *SPELLINGS}
    secrets = {name: value for name, value in ENV.items() if value in ("'store-url'", "'code-keys'")}
    assert secrets.keys() == {"STORE_URL", "CODE_KEYS"}
    stands = {
        **{name: value.strip("'") for name, value in ENV.items()},
        **{"CLIENT_ID": ID, "TENANT_ID": ID, "ADMINS": ID, "ORGANISATION": "Contoso"},
        **{"PUBLIC_URL": "https://provisioning-bot.example.azurecontainerapps.io", "CODE_KEYS": f"k1:{'A' * 43}="},
        "STORE_URL": "postgresql://bot:x@db.example/provisioning?sslmode=require",
        "TRUSTED_PROXIES": ENV["TRUSTED_PROXIES"].strip("'").replace("${appSubnet}", subnet()),
    }
    settings = load_settings(stands, None)
    assert settings.app_type == "UserAssignedMSI" and not settings.local
    assert len(settings.trusted_proxies) == 2


def subnet() -> str:
    (found,) = re.findall(r"var appSubnet = '(.*)'", BICEP)
    return found


def test_it_asks_the_paths_that_the_service_answers() -> None:
    assert set(re.findall(r"path: '(.*?)'", BICEP)) == {"/healthz", "/readyz"}
    assert "/api/messages'" in BICEP and set(re.findall(r"port: (\d+)", BICEP)) == {"3978"}
