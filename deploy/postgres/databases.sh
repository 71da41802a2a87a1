#!/bin/sh
# Run once by the postgres image, on an empty volume: a database and two logins for each service whose passwords are
# mounted. psql itself reads the passwords, so that they never appear on a command line.
set -eu

SECRETS=${SECRETS:-/run/secrets}
for password in "$SECRETS"/*_owner_password; do
    service=$(basename "$password" _owner_password)
    psql --no-psqlrc --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
\set name $service
\set owner_password \`cat $SECRETS/${service}_owner_password\`
\set app_password \`cat $SECRETS/${service}_app_password\`
\i ${SERVICE_SQL:-/etc/postgresql/service.sql}
SQL
done
