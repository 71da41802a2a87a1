"""What can be done.

Rows are locked in this order: link token, failed logins, organization, member, identity, session,
the counter of revocations. The transaction writes messages and audit records at its end."""
