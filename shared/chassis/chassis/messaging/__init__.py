"""Messages: outbox and relay on the way out, inbox on the way in, and the broker between them."""
