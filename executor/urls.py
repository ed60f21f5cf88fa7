"""The addresses of the pages."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from executor.views import adding, batch, batches, commands, functions, knowledge, tasks, workers
from executor.views.login import login_once

login = login_not_required(LoginView.as_view(template_name="executor/login.html", redirect_authenticated_user=True))

pages = [
    path("login/", login, name="login"),
    path("login/once/<str:uid>/<str:token>/", login_once, name="login_once"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("", batches.batches, name="batches"),
    path("batches/new/", adding.batch_new, name="batch_new"),
    path("batches/<uuid:batch_id>/", batch.batch, name="batch"),
    path("batches/<uuid:batch_id>/add/", adding.task_add, name="task_add"),
    path("batches/<uuid:batch_id>/<str:action>/", commands.batch_action, name="batch_action"),
    path("tasks/<uuid:task_id>/", tasks.task, name="task"),
    path("knowledge/", knowledge.knowledge, name="knowledge"),
    path("knowledge/<uuid:document_id>/", knowledge.document, name="knowledge_document"),
    path("workers/", workers.workers, name="workers"),
    path("functions/", functions.functions, name="functions"),
]

urlpatterns = [
    *pages,
]
