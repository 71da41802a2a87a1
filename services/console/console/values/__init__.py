"""Words, money, permissions and the table of sections: what needs neither the web nor a
database."""
