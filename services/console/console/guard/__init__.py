"""Who sends the request: cookie, workspace session, tokens, drafts, and whether a form is one of ours."""
