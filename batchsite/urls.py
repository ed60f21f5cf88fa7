"""The site's addresses."""

from django.contrib import admin
from django.contrib.auth.decorators import user_passes_test
from django.urls import URLPattern, include, path
from django_rq.urls import get_admin_urlpatterns, get_api_urlpatterns

from executor.api import urls as api_urls
from executor.web.health import healthz, readyz


def _superusers_only(patterns: list[URLPattern]) -> list[URLPattern]:
    """RQ's own pages can delete and requeue tickets; their own check would let any member of the staff in."""
    guard = user_passes_test(lambda user: user.is_active and user.is_superuser, login_url="admin:login")
    for pattern in patterns:
        pattern.callback = guard(pattern.callback)
    return patterns


admin.autodiscover()

handler400 = "executor.api.problems.refused"

urlpatterns = [
    path("admin/rq/", include((_superusers_only(get_api_urlpatterns() + get_admin_urlpatterns()), "django_rq"))),
    path("admin/", admin.site.urls),
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("api/", api_urls),
    path("", include("executor.urls")),
]
