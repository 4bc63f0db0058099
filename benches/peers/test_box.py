"""What dwenv doctor looks at, as far as testinfra has words for it; the rest as commands."""

import pytest

NAME = "dockerworkshop"
FOLDER = "/home/vagrant/docker-workshop"
FILES = [
    "server.py",
    "requirements.txt",
    "Dockerfile",
    "compose.yaml",
    "create_db.sql",
    "create_schema_and_fixtures.sql",
]


@pytest.mark.parametrize(
    "name",
    [
        "docker.io",
        "docker-cli",
        "docker-buildx",
        "docker-compose",
        "postgresql",
        "python3",
        "python3-psycopg",
    ],
)
def test_package(host, name):
    assert host.package(name).is_installed


@pytest.mark.parametrize("name", ["docker", "postgresql", "docker-workshop"])
def test_service(host, name):
    service = host.service(name)
    assert service.is_running
    assert service.is_enabled


def test_no_unit_failed(host):
    assert host.check_output("systemctl is-system-running") == "running"


def test_user_may_use_docker(host):
    assert "docker" in host.user("vagrant").groups


def test_docker_answers(host):
    assert host.check_output("docker version --format '{{.Server.Version}}'") >= "20.10"
    assert host.run("docker compose version").succeeded


@pytest.mark.parametrize("port", [5432, 8080])
def test_port(host, port):
    assert host.socket(f"tcp://0.0.0.0:{port}").is_listening


def psql(host, database, query):
    with host.sudo("postgres"):
        return host.check_output("psql -XAtq -d %s -c %s", database, query)


def test_postgres_is_new_enough(host):
    assert int(psql(host, "postgres", "SHOW server_version_num")) >= 150000


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "samenet", "10.0.2.0", "172.16.0.0"]
)
def test_access(host, address):
    query = (
        "SELECT count(*) > 0 FROM pg_hba_file_rules"
        f" WHERE address = '{address}' AND '{NAME}' = ANY (database) AND '{NAME}' = ANY (user_name)"
    )
    assert psql(host, "postgres", query) == "t"


def test_role(host):
    assert psql(host, "postgres", f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{NAME}'") == "t"


def test_database(host):
    query = f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{NAME}'"
    assert psql(host, "postgres", query) == NAME


def test_table(host):
    query = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'call'::regclass AND attnum > 0"
    assert psql(host, NAME, query) == "id created_at payload"


def test_login_with_the_password(host):
    command = f"PGPASSWORD={NAME} psql -XAtq -h localhost -U {NAME} -d {NAME} -c 'SELECT 1'"
    assert host.check_output(command) == "1"


@pytest.mark.parametrize("name", FILES)
def test_file(host, provision, name):
    file = host.file(f"{FOLDER}/{name}")
    assert (file.user, file.mode) == ("vagrant", 0o644)
    assert file.content == (provision / name).read_bytes()


def test_unit(host, provision):
    text = (provision / "docker-workshop.service").read_text()
    text = text.replace("@USER@", "vagrant").replace("@DIRECTORY@", FOLDER)
    assert host.file("/etc/systemd/system/docker-workshop.service").content_string == text


def test_server_answers(host):
    program = "import urllib.request as u; print(u.urlopen(\"http://localhost:8080\").read().decode())"
    assert "Hello World" in host.check_output("python3 -c %s", program)


def test_disk_has_room(host):
    assert int(host.check_output("df --output=avail -k / | tail -n 1")) > 1_000_000


def test_clock_is_right(host):
    import time

    assert abs(int(host.check_output("date +%s")) - time.time()) < 60
