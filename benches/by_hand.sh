# The workshop's box, as one would write it by hand: the same packages, settings, files and service, each
# step done with no look at what is there already, but for what would do harm twice. It runs as root. The
# files of provision/ are put into /tmp/provision by what is sent before this.
set -eu
packages='docker.io docker-cli docker-buildx docker-compose postgresql python3 python3-psycopg'
home=$(getent passwd "$user" | cut -d: -f6)
folder=$home/docker-workshop

export DEBIAN_FRONTEND=noninteractive
apt-get -q -y update
# shellcheck disable=SC2086
apt-get -q -y install --no-install-recommends $packages

usermod -aG docker "$user"

cd /
hba=$(runuser -u postgres -- psql -Atc 'SHOW hba_file')
if ! grep -q '^host *dockerworkshop' "$hba"; then
  for address in 127.0.0.1/32 ::1/128 samenet 10.0.2.0/24 172.16.0.0/12; do
    echo "host dockerworkshop dockerworkshop $address scram-sha-256"
  done | cat - "$hba" >/tmp/pg_hba.conf
  cat /tmp/pg_hba.conf >"$hba"
  runuser -u postgres -- psql -qc "ALTER SYSTEM SET listen_addresses = '*'"
  systemctl restart postgresql
fi
runuser -u postgres -- psql -q -f /tmp/provision/create_db.sql
PGPASSWORD=dockerworkshop psql -q -h localhost -U dockerworkshop -d dockerworkshop \
  -f /tmp/provision/create_schema_and_fixtures.sql

install -d -o "$user" -g "$user" "$folder"
for file in server.py requirements.txt Dockerfile compose.yaml create_db.sql create_schema_and_fixtures.sql; do
  install -o "$user" -g "$user" -m 644 "/tmp/provision/$file" "$folder/$file"
done
sed "s|@USER@|$user|; s|@DIRECTORY@|$folder|" /tmp/provision/docker-workshop.service \
  >/etc/systemd/system/docker-workshop.service
systemctl daemon-reload
systemctl enable docker-workshop
systemctl restart docker-workshop
until [ -n "$(ss -Hltn 'sport = :8080')" ]; do sleep 0.1; done
