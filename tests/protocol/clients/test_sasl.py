#!/usr/bin/python3
"""Clients that say who they are by SASL, as they are: pylibmc, PHP's memcached, Dalli, bmemcached, npm's memjs, libmemcached's tools; those that are not
installed are left out."""

import os
import subprocess
import sys
import tempfile

import client_cases
from client_cases import Server
from waits import RUN_HANG_S

USERS = "cache:right password\nreader(read):readers\n"

PHP = r"""
[, $host, $port, $password] = $argv;
$client = new Memcached();
$client->setOption(Memcached::OPT_BINARY_PROTOCOL, true);
$client->setSaslAuthData('cache', $password);
$client->addServer($host, (int)$port);
exit($client->set('key', 'php') && $client->get('key') === 'php' ? 0 : 3);
"""
RUBY = r"""
require 'dalli'
Dalli.logger.level = Logger::FATAL
host, port, password = ARGV
begin
  cache = Dalli::Client.new("#{host}:#{port}", username: 'cache', password: password)
  exit(cache.set('key', 'ruby') && cache.get('key') == 'ruby' ? 0 : 3)
rescue Dalli::DalliError
  exit 3
end
"""
PYLIBMC = r"""
import sys, pylibmc
host, port, password = sys.argv[1:]
client = pylibmc.Client([f"{host}:{port}"], binary=True, username="cache", password=password)
try:
    sys.exit(0 if client.set("key", "python") and client.get("key") == "python" else 3)
except pylibmc.Error:
    sys.exit(3)
"""
BMEMCACHED = r"""
import sys, bmemcached
host, port, password = sys.argv[1:]
client = bmemcached.Client([f"{host}:{port}"], "cache", password)
try:
    sys.exit(0 if client.set("key", "b") and client.get("key") == "b" else 3)
except bmemcached.exceptions.MemcachedException:
    sys.exit(3)
"""
MEMJS = r"""
const [host, port, password] = process.argv.slice(-3);
const client = require('memjs').Client.create(`${host}:${port}`, { username: 'cache', password, retries: 0 });
client.set('key', 'js', { expires: 60 })
  .then(() => client.get('key'))
  .then(({ value }) => process.exit(value && value.toString() === 'js' ? 0 : 3))
  .catch(() => process.exit(3));
"""
TOOLS = r"""
cd "$(mktemp -d)" && trap 'rm -r "$PWD"' EXIT
printf tools > key
with="--servers=$1:$2 --binary --username=cache"
memccp $with --password="$3" key && [ "$(memccat $with --password="$3" key)" = tools ] || exit 3
"""

# name -> what shows that it is there, the program
CLIENTS = {
    "php-memcached": (["php", "-r", "exit(extension_loaded('memcached') && Memcached::HAVE_SASL ? 0 : 1);"], ["php", "-d", "memcached.use_sasl=1", "-r", PHP, "--"]),
    "Dalli": (["ruby", "-e", "require 'dalli'; exit(Dalli::VERSION.to_i < 5)"], ["ruby", "-e", RUBY]),
    "pylibmc": ([sys.executable, "-c", "import pylibmc, sys; sys.exit(not pylibmc.support_sasl)"], [sys.executable, "-c", PYLIBMC]),
    "bmemcached": ([sys.executable, "-c", "import bmemcached"], [sys.executable, "-c", BMEMCACHED]),
    "libmemcached's tools": (["sh", "-c", "memccp --help | grep -q -e --username && command -v memccat"], ["sh", "-c", TOOLS, "sh"]),
    "memjs": (["node", "-e", "require('memjs')"], ["node", "-e", MEMJS, "--"]),
}


def is_there(probe):
    try:
        return subprocess.run(probe, capture_output=True, timeout=RUN_HANG_S, check=False).returncode == 0
    except FileNotFoundError:
        return False


def works(command, server, password):
    done = subprocess.run([*command, *map(str, server.address), password], capture_output=True, text=True, timeout=RUN_HANG_S, check=False)
    if done.returncode not in (0, 3):
        print(done.stdout + done.stderr)
    return done.returncode == 0


def main():
    chosen = client_cases.options()
    found = {name: command for name, (probe, command) in CLIENTS.items() if is_there(probe)}
    if not found:
        return client_cases.skip("no client that speaks SASL")
    passed = 0
    print(f"[==========] Running {len(found)} test(s).")
    with tempfile.NamedTemporaryFile("w", prefix="snug-users-") as users:
        users.write(USERS)
        users.flush()
        os.chmod(users.name, 0o600)
        with Server(chosen.server, [*chosen.server_args, "-Y", users.name]) as server:
            for name, command in found.items():
                right, wrong = works(command, server, "right password"), works(command, server, "wrong")
                is_fine = right and not wrong
                passed += is_fine
                print(f"[{'       OK ' if is_fine else '  FAILED  '}] {name}" + ("" if is_fine else f": with the password {right}, with another {wrong}"))
    return client_cases.finish(passed, len(found) - passed)


if __name__ == "__main__":
    sys.exit(main())
