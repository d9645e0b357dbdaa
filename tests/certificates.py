"""Certificates made on the spot, in the PEM files an operator would have."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from tests.secret_files import private


@cache
def rsa_key(name: str = "bot", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same for the same name, as they take time to make."""
    return rsa.generate_private_key(65537, bits)


def certificate_for(key: Any, days: float = 90, starts: float = -1, address: str = "") -> x509.Certificate:
    """Self-signed, as Entra takes it; from `starts` to `days` days from now. `address`: of a server that has it."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provisioning-bot")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=starts))
        .not_valid_after(now + timedelta(days=days))
    )
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256())


def pem(*parts: Any, password: str = "") -> bytes:
    """Keys and certificates, one after the other."""
    lock: KeySerializationEncryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return b"".join(
        part.public_bytes(Encoding.PEM)
        if isinstance(part, x509.Certificate)
        else part.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
        for part in parts
    )


def written(folder: Path, *parts: Any, password: str = "") -> Path:
    return private(folder / "bot.pem", pem(*parts, password=password))


def good(folder: Path) -> tuple[Path, x509.Certificate]:
    certificate = certificate_for(rsa_key())
    return written(folder, rsa_key(), certificate), certificate


def bad(folder: Path) -> dict[str, tuple[Path, str]]:
    """Files that cannot be used, with what is said of each."""
    key, certificate = rsa_key(), certificate_for(rsa_key())
    curve = ec.generate_private_key(ec.SECP256R1())
    contents = {
        "empty": (b"", "no private key"),
        "no PEM": (b"\x00\x01 PKCS#12", "no private key"),
        "without key": (pem(certificate), "no private key"),
        "without certificate": (pem(key), "no certificate for its private key"),
        "of another key": (pem(key, certificate_for(rsa_key("other"))), "no certificate for its private key"),
        "with a password": (pem(key, certificate, password="pw"), "has a password"),
        "of a curve": (pem(curve, certificate_for(curve)), "not RSA"),
        "of a short key": (pem(rsa_key("short", 1024), certificate_for(rsa_key("short", 1024))), "not RSA of 2048"),
        "expired": (pem(key, certificate_for(key, days=-0.5)), "not now"),
        "not yet valid": (pem(key, certificate_for(key, starts=1)), "not now"),
    }
    found = {"missing": (folder / "nowhere.pem", "cannot be read"), "a folder": (folder, "It is a folder")}
    for number, (name, (content, said)) in enumerate(contents.items()):
        found[name] = (private(folder / f"{number}.pem", content), said)
    if os.name == "posix":
        found["for everybody"] = (private(folder / "open.pem", pem(key, certificate)), "Everybody on this computer")
        found["for everybody"][0].chmod(0o644)
    return found


BAD = (
    "missing",
    "a folder",
    "empty",
    "no PEM",
    "without key",
    "without certificate",
    "of another key",
    "with a password",
    "of a curve",
    "of a short key",
    "expired",
    "not yet valid",
    *(["for everybody"] if os.name == "posix" else []),
)
