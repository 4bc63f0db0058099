-- The role and its database. May run again at any time; for psql, as the superuser:
--
--     sudo -u postgres psql -f create_db.sql
--
-- `-v role=… -v database=…` choose other names. A password that is given is set; without one, a new role
-- gets the lab's.

\set ON_ERROR_STOP on
\if :{?role}
\else
  \set role dockerworkshop
\endif
\if :{?database}
\else
  \set database dockerworkshop
\endif
\if :{?password}
  \set set_password true
\else
  \set password dockerworkshop
  SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') AS set_password \gset
\endif

-- Statements with a password stay out of the server's log, also when they fail.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET password_encryption = 'scram-sha-256';

-- CREATE ROLE and CREATE DATABASE know no IF NOT EXISTS: \gexec runs what these queries return, if anything.
SELECT format('CREATE ROLE %I', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec

SELECT format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', :'role')
FROM pg_roles
WHERE rolname = :'role'
  AND (NOT rolcanlogin OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) \gexec

SELECT format('ALTER ROLE %I PASSWORD %L', :'role', :'password')
WHERE :'set_password'::boolean \gexec

-- UTF-8 whatever the server's own locale is; every Debian and Ubuntu has C.UTF-8.
SELECT format(
  'CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8'' LC_COLLATE ''C.UTF-8'' LC_CTYPE ''C.UTF-8''',
  :'database', :'role')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec

SELECT format('ALTER DATABASE %I OWNER TO %I', :'database', :'role')
FROM pg_database
WHERE datname = :'database' AND pg_get_userbyid(datdba) <> :'role' \gexec
