"""The page of the task functions."""

from django.http import HttpRequest, HttpResponse

from executor.reads.functions import list_functions
from executor.views.page import page, render_page


@page
def functions(request: HttpRequest) -> HttpResponse:
    """Show the task functions with their parameters."""
    return render_page(request, "executor/functions.html", functions=list_functions())
