"""Certificates for tests, made by the openssl command: a root, and what it signs. Keys are of P-256, because those are made at once.

    with Authority() as authority:
        authority.certificate("server")            -> server.pem, server.key
        authority.certificate("late", days=-1)     a certificate that has expired
"""

import os
import shutil
import ssl
import subprocess
import tempfile

from cases import Skipped

HAS_OPENSSL = shutil.which("openssl") is not None


def openssl(*words, text=None):
    done = subprocess.run(["openssl", *words], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(words)}: {done.stderr}")
    return done.stdout


class Authority:
    def __init__(self, name="snug's tests"):
        if not HAS_OPENSSL:
            raise Skipped("the openssl command is not installed")
        self.directory = tempfile.mkdtemp(prefix="snug-certificates-")
        self.root, self.root_key = self.path("root.pem"), self.path("root.key")
        self._make_key(self.root_key)
        openssl("req", "-x509", "-key", self.root_key, "-out", self.root, "-subj", f"/CN={name}", "-days", "2")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def _make_key(path):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)

    def certificate(self, name, days=2, file=None, kind="default"):
        """A key and its certificate, in the files that are named: certificate, key. Fewer than no days: it has expired. The kind of string that the
        name is: OpenSSL's string_mask."""
        file = file or name
        certificate, key, request = self.path(f"{file}.pem"), self.path(f"{file}.key"), self.path(f"{file}.csr")
        self._make_key(key)
        form = self.path("request.cnf")
        with open(form, "w") as words:
            words.write(f"[req]\nstring_mask={kind}\ndistinguished_name=subject\n[subject]\n")
        openssl("req", "-new", "-utf8", "-key", key, "-out", request, "-subj", f"/CN={name}", "-config", form)
        openssl("x509", "-req", "-in", request, "-CA", self.root, "-CAkey", self.root_key, "-CAcreateserial", "-out", certificate,
                "-days", str(days))
        return certificate, key


def client_context(authority, certificate=None, version=None, ciphers=None):
    """A client who trusts the authority, and proves a certificate, if there is one: (file, key)."""
    context = ssl.create_default_context(cafile=authority.root)
    context.check_hostname = False
    if certificate:
        context.load_cert_chain(*certificate)
    if version:
        context.minimum_version = context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers)
    return context
