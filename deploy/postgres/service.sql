-- A service's database and its two logins, for psql. Running it again changes only the passwords.
--
--   psql -v name=org -v owner_password=... -v app_password=... -f service.sql
--
-- <name>_owner owns the database and changes its tables (migrations only).
-- <name>_app reads and writes rows and can do nothing else. It cannot connect to another service's database.

\set ON_ERROR_STOP on
\set owner :name '_owner'
\set app :name '_app'

SELECT format('CREATE ROLE %I', login)
FROM (VALUES (:'owner'), (:'app')) AS wanted (login)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login)
\gexec
ALTER ROLE :"owner" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
ALTER ROLE :"app" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'app_password';
ALTER ROLE :"app" SET statement_timeout = '5s';
ALTER ROLE :"app" SET lock_timeout = '2s';
-- A prepared statement keeps the plan that it got while its tables were small: make that plan use an index, too.
ALTER ROLE :"app" SET enable_seqscan = off;
ALTER ROLE :"app" SET idle_in_transaction_session_timeout = '10s';

SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name')
\gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO :"app";

-- By default everyone may connect to the server's own databases.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname)
FROM pg_database
WHERE datname IN ('postgres', 'template1') AND has_database_privilege('public', datname, 'CONNECT')
\gexec

\connect :"name"
ALTER SCHEMA public OWNER TO :"owner";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO :"app";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO :"app";
