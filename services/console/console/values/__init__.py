"""Labels, amounts, permissions and the table of sections: nothing here needs the web or a
database."""
