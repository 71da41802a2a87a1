"""Daily spending per customer, so that the rate is known without reading the journal."""

from datetime import date

from chassis.db.columns import BigInt, Id
from sqlalchemy import Date
from sqlalchemy.orm import Mapped, mapped_column

from billing.models.table import Base


class Spending(Base):
    """The charges of one account on one day (UTC), in millionths.

    Written under the account's lock.
    """

    __tablename__ = "spendings"
    organization_id: Mapped[str] = mapped_column(Id("org"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    amount: Mapped[int] = mapped_column(BigInt)
