"""The console: pages for provider staff and for customers' owners and admins."""
