"""People, their roles and their sessions: who may log in, in which organization, as what."""
