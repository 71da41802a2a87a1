"""django-hordak behind plain Django views: nothing is checked but what Django and hordak check."""
