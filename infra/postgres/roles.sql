-- A role for each part of Labelwright, each with its own rights and no others. Postgres runs this file when its volume is
-- empty. Run again, by a superuser, it changes passwords and takes over databases of an older installation:
--   docker compose --file infra/compose.yaml exec postgres psql --username postgres --file /docker-entrypoint-initdb.d/roles.sql
--
--   prefect          owns the database prefect
--   service          owns the database service
--   ledger           owns the database ledger: makes its tables (labelwright prepare-ledger), and is used for nothing else
--   ledger_worker    reads and writes the ledger's tables
--   ledger_receiver  reads and writes its inbox, and reads the version of its tables
--
-- The rights of the last two on tables are granted by `labelwright prepare-ledger`, which knows the tables.
\set ON_ERROR_STOP on
\if :{?secrets}
\else
  \set secrets /run/secrets
\endif
\set prefect_password `cat :'secrets'/prefect_password`
\set service_password `cat :'secrets'/service_password`
\set ledger_password `cat :'secrets'/ledger_password`
\set worker_password `cat :'secrets'/worker_password`
\set receiver_password `cat :'secrets'/receiver_password`

SELECT format('CREATE ROLE %I', name)
  FROM unnest(ARRAY['prefect', 'service', 'ledger', 'ledger_worker', 'ledger_receiver']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
ALTER ROLE prefect LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'prefect_password';
ALTER ROLE service LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'service_password';
ALTER ROLE ledger LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'ledger_password';
ALTER ROLE ledger_worker LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'worker_password';
ALTER ROLE ledger_receiver LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
  PASSWORD :'receiver_password';

-- Names are compared byte by byte, so the collation of the server does not matter.
SELECT format('CREATE DATABASE %I OWNER %I ENCODING ''UTF8'' TEMPLATE template0', name, name)
  FROM unnest(ARRAY['prefect', 'service', 'ledger']) AS name
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
SELECT format('ALTER DATABASE %I OWNER TO %I', name, name)
  FROM unnest(ARRAY['prefect', 'service', 'ledger']) AS name \gexec
-- Who is named here enters a database, and nobody else.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_database WHERE datname <> 'template0' \gexec
GRANT CONNECT ON DATABASE ledger TO ledger_worker, ledger_receiver;

\connect prefect
ALTER SCHEMA public OWNER TO prefect;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SELECT format('ALTER TABLE %I.%I OWNER TO prefect', schemaname, tablename) FROM pg_tables
 WHERE schemaname = 'public' AND tableowner <> 'prefect' \gexec
\connect service
ALTER SCHEMA public OWNER TO service;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SELECT format('ALTER TABLE %I.%I OWNER TO service', schemaname, tablename) FROM pg_tables
 WHERE schemaname = 'public' AND tableowner <> 'service' \gexec
\connect ledger
ALTER SCHEMA public OWNER TO ledger;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SELECT format('ALTER TABLE %I.%I OWNER TO ledger', schemaname, tablename) FROM pg_tables
 WHERE schemaname = 'public' AND tableowner <> 'ledger' \gexec
