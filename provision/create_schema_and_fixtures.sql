-- The workshop's table and its first row. May run again at any time: rows that are there stay. For psql:
--
--     psql -h localhost -U dockerworkshop dockerworkshop -f create_schema_and_fixtures.sql

BEGIN;
-- Without "already exists, skipping".
SET LOCAL client_min_messages = warning;

CREATE TABLE IF NOT EXISTS call (
  id serial PRIMARY KEY,
  created_at timestamptz NOT NULL DEFAULT now(),
  payload text NOT NULL DEFAULT ''
);

-- Two runs at once must not both find it empty.
LOCK TABLE call IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO call (payload)
SELECT 'Hello World'
WHERE NOT EXISTS (SELECT FROM call);

COMMIT;
