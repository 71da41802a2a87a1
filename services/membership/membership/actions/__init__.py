"""What can be done. Whoever locks more than one thing does it in this order: mailed token,
login failures, organization, member, identity,
session, the counter of revocations; then says and records.
"""
