"""Replacing the pepper: what is encrypted moves to the new one, what is hashed cannot."""

from chassis.auth.encryption import DecryptionError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from membership.models import Authenticator, Member, RecoveryCode
from membership.values.encryption import Encryption

MAX_BATCH = 500


def reencrypt(
    session: Session, *, encryption: Encryption, after: str | None
) -> tuple[str | None, int, int]:
    """Encrypt a batch of the secrets of one-time codes, those after this authenticator, with the
    current pepper. Returns the last one of the batch, None if there was none left, how many were
    encrypted, and how many are lost, because neither pepper decrypts them."""
    batch = select(Authenticator).order_by(Authenticator.id).limit(MAX_BATCH).with_for_update()
    if after is not None:
        batch = batch.where(Authenticator.id > after)
    rows = session.scalars(batch).all()
    lost = 0
    for row in rows:
        try:
            secret = encryption.decrypt(row.secret, owner=row.identity_id)
        except DecryptionError:
            lost += 1
            continue
        row.secret = encryption.encrypt(secret, owner=row.identity_id)
    return (rows[-1].id if rows else None), len(rows) - lost, lost


def count_hashed(session: Session) -> tuple[int, int]:
    """How many unused recovery codes and how many PINs are stored, under either pepper."""
    codes = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.used_at.is_(None))
    pins = select(func.count()).select_from(Member).where(Member.pin_hash.is_not(None))
    return session.scalar(codes) or 0, session.scalar(pins) or 0
