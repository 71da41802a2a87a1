#!/bin/sh
# Run once by the postgres image, on an empty volume: one database and two logins for each service.
# psql itself reads the passwords, so they never stand on a command line.
set -eu

for service in org billing membership console; do
    psql --no-psqlrc --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
\set name $service
\set owner_password \`cat ${SECRETS:-/run/secrets}/${service}_owner_password\`
\set app_password \`cat ${SECRETS:-/run/secrets}/${service}_app_password\`
\i ${SERVICE_SQL:-/etc/postgresql/service.sql}
SQL
done
