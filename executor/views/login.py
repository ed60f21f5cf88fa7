"""The one-time login link that the command line prints."""

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from executor.access import user_of_login_link
from executor.views.page import render_page


@login_not_required
@never_cache
@require_GET  # link previews send HEAD, which must not consume the link
def login_once(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Log in by a one-time link."""
    user = user_of_login_link(uid, token)
    if user is not None:
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return redirect("batches")
    if request.user.is_authenticated:  # the link was followed twice in the same browser
        return redirect("batches")
    return render_page(request, "executor/login_link.html", status=410)
