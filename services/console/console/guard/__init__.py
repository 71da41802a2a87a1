"""Who sends the request: cookie, workspace session, tokens, drafts, and the origin of forms."""
