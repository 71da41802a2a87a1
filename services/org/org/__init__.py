"""Organizations: opens them, keeps what is known of them, conducts their deletion."""
