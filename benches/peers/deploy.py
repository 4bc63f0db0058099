"""The workshop's box with pyinfra's own operations. The inventory gives each box `provision`, the folder with the files."""

from io import StringIO
from pathlib import Path

from pyinfra import host
from pyinfra.facts.postgres import PostgresRoles
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, postgres, server, systemd

NAME = "dockerworkshop"
CLUSTER = "/etc/postgresql/17/main"
USER = host.data.ssh_user
FOLDER = f"/home/{USER}/docker-workshop"
PROVISION = Path(host.data.provision)
FILES = [
    "server.py",
    "requirements.txt",
    "Dockerfile",
    "compose.yaml",
    "create_db.sql",
    "create_schema_and_fixtures.sql",
]

apt.packages(
    name="Packages",
    packages=[
        "docker.io",
        "docker-cli",
        "docker-buildx",
        "docker-compose",
        "postgresql",
        "python3",
        "python3-psycopg",
    ],
    no_recommends=True,
    update=True,
    cache_time=3600,
    _sudo=True,
)

server.user(name="The user may use Docker", user=USER, groups=["docker"], append=True, _sudo=True)

addresses = ["127.0.0.1/32", "::1/128", "samenet", "10.0.2.0/24", "172.16.0.0/12"]
access = files.block(
    name="Who may log in to PostgreSQL",
    path=f"{CLUSTER}/pg_hba.conf",
    content=[f"host {NAME} {NAME} {address} scram-sha-256" for address in addresses],
    before=True,
    after=True,
    _sudo=True,
)
listening = files.put(
    name="Where PostgreSQL listens",
    src=StringIO("listen_addresses = '*'\n"),
    dest=f"{CLUSTER}/conf.d/workshop.conf",
    user="postgres",
    group="postgres",
    mode="644",
    _sudo=True,
)
for service in ["docker", "postgresql"]:
    systemd.service(name=f"{service} runs", service=service, running=True, enabled=True, _sudo=True)
systemd.service(
    name="Restart PostgreSQL",
    service="postgresql",
    restarted=True,
    _if=lambda: access.did_change() or listening.did_change(),
    _sudo=True,
)

# With a password `postgres.role` alters a role that is there already, at every run.
if NAME not in host.get_fact(PostgresRoles, _sudo=True, _sudo_user="postgres"):
    postgres.role(name="The role", role=NAME, password=NAME, _sudo=True, _sudo_user="postgres")
postgres.database(
    name="The database",
    database=NAME,
    owner=NAME,
    template="template0",
    encoding="UTF8",
    lc_collate="C.UTF-8",
    lc_ctype="C.UTF-8",
    _sudo=True,
    _sudo_user="postgres",
)

files.directory(name="The folder", path=FOLDER, user=USER, group=USER, _sudo=True)
put = [
    files.put(
        name=f"The file {name}",
        src=str(PROVISION / name),
        dest=f"{FOLDER}/{name}",
        user=USER,
        group=USER,
        mode="644",
        _sudo=True,
    )
    for name in FILES
]

# pyinfra has no operation for a table.
table = host.get_fact(
    Command,
    f"psql -XAtq -d {NAME} -c \"SELECT to_regclass('call')\" 2>/dev/null || true",
    _sudo=True,
    _sudo_user="postgres",
)
if not table:
    server.shell(
        name="The table and its rows",
        commands=f"psql -q -h localhost -U {NAME} -d {NAME} -f {FOLDER}/create_schema_and_fixtures.sql",
        _env={"PGPASSWORD": NAME},
    )

text = (PROVISION / "docker-workshop.service").read_text()
unit = files.put(
    name="The unit",
    src=StringIO(text.replace("@USER@", USER).replace("@DIRECTORY@", FOLDER)),
    dest="/etc/systemd/system/docker-workshop.service",
    mode="644",
    _sudo=True,
)
systemd.daemon_reload(name="Read the unit", _if=unit.did_change, _sudo=True)
systemd.service(
    name="The server runs", service="docker-workshop", running=True, enabled=True, _sudo=True
)
changed = [unit, *put]
systemd.service(
    name="Restart the server",
    service="docker-workshop",
    restarted=True,
    _if=lambda: any(it.did_change() for it in changed),
    _sudo=True,
)
# `server.wait` needs netstat, which Debian no longer installs.
server.shell(
    name="The server listens",
    commands="until ss -Hltn sport = :8080 | grep -q .; do sleep 0.1; done",
    _if=lambda: any(it.did_change() for it in changed),
)
