# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""certificates.py DIRECTORY: the keys of a control plane on this machine, NAME.crt and NAME.key each.

Three authorities, as in a real cluster: that of the cluster, that of the aggregator's front proxy, and KubeVirt's own.
A directory that has them all is left alone.
"""

from __future__ import annotations

import datetime
import ipaddress
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
LIFETIME = datetime.timedelta(days=30)

# By authority: file name, common name, names of the server.
LEAVES = {
    "cluster-ca": [("kube-apiserver", "kube-apiserver", ["kubernetes.default.svc", "kubernetes.default"])],
    # The name that --requestheader-allowed-names admits.
    "front-proxy-ca": [("front-proxy", "front-proxy-client", [])],
    "kubevirt-ca": [
        # The aggregator asks for the Service's name, the webhooks' URLs for 127.0.0.1.
        ("virt-api", "virt-api.kubevirt.svc", ["virt-api.kubevirt.svc"]),
        ("virt-controller", "virt-controller.kubevirt.svc", ["virt-controller.kubevirt.svc"]),
        # virt-api and virt-handler know each other by these common names alone.
        ("virt-handler", "kubevirt.io:system:node:virt-handler", []),
        ("virt-handler-client", "kubevirt.io:system:client:virt-handler", []),
    ],
}


class Authority:
    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = named(name)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = validity(x509.CertificateBuilder().subject_name(self.subject).issuer_name(self.subject))
        builder = builder.public_key(self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        write(directory, name, self.key, builder.sign(self.key, hashes.SHA256()))

    def issue(self, name: str, common_name: str, names: list[str]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = validity(x509.CertificateBuilder().subject_name(named(common_name)).issuer_name(self.subject))
        builder = builder.public_key(key.public_key())
        alternatives: list[x509.GeneralName] = [x509.DNSName(other) for other in [*names, "localhost"]]
        alternatives.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([SERVER, CLIENT]), critical=False)
        write(self.directory, name, key, builder.sign(self.key, hashes.SHA256()))


def named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def validity(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    # A little in the past: the clocks of a machine's processes need not agree on "now".
    builder = builder.not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(now + LIFETIME)
    return builder.serial_number(x509.random_serial_number())


def private(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, text = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, text, serialization.NoEncryption())


def write(directory: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    path = directory / f"{name}.key"
    path.touch(mode=0o600)
    path.write_bytes(private(key))
    (directory / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_service_account_key(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    path = directory / "service-account.key"
    path.touch(mode=0o600)
    path.write_bytes(private(key))
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    public = key.public_key().public_bytes(serialization.Encoding.PEM, info)
    (directory / "service-account.pub").write_bytes(public)


def main() -> None:
    directory = Path(sys.argv[1])
    complete = directory / ".complete"
    if complete.exists():
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for authority, leaves in LEAVES.items():
        issuer = Authority(directory, authority)
        for leaf in leaves:
            issuer.issue(*leaf)
    write_service_account_key(directory)
    complete.touch()


if __name__ == "__main__":
    main()
