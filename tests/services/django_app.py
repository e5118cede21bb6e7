"""The service as an application of Django, as small as one can be."""

from __future__ import annotations

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from work import KINDS, answer

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not one",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def _answer(request: HttpRequest) -> HttpResponse:
    return HttpResponse(answer(request.path, request.GET))


urlpatterns = [path(kind.lstrip("/"), _answer) for kind in KINDS]
app = get_wsgi_application()
