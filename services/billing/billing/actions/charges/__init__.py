"""What is charged, credited, corrected, refunded and reversed on one account."""
