"""The paths of the views."""

from django.urls import path

from tests.bench.peers.hordak_app import views

urlpatterns = [
    path("accounts", views.list_accounts),
    path("accounts/<int:account_id>", views.read_account),
    path("accounts/<int:account_id>/charges", views.charge),
    path("usage", views.record_usage),
]
