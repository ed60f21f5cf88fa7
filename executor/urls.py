"""What the site can do, read from top to bottom."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from executor.views import access, batches, commands, intake, knowledge, more

login = login_not_required(LoginView.as_view(template_name="executor/login.html", redirect_authenticated_user=True))

pages = [
    path("login/", login, name="login"),
    path("login/once/<str:uid>/<str:token>/", access.login_once, name="login_once"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("", batches.batches, name="batches"),
    path("batches/new/", intake.batch_new, name="batch_new"),
    path("batches/<uuid:batch_id>/", batches.batch, name="batch"),
    path("batches/<uuid:batch_id>/add/", intake.task_add, name="task_add"),
    path("batches/<uuid:batch_id>/<str:action>/", commands.batch_action, name="batch_action"),
    path("tasks/<uuid:task_id>/", more.task, name="task"),
    path("knowledge/", knowledge.knowledge, name="knowledge"),
    path("knowledge/<uuid:document_id>/", knowledge.document, name="knowledge_document"),
    path("workers/", more.workers, name="workers"),
    path("functions/", more.functions, name="functions"),
]

urlpatterns = [
    *pages,
]
