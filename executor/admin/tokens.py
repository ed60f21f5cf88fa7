"""The bearer tokens of agents: created here, shown once, revoked here."""

from __future__ import annotations

from typing import cast

from django import forms
from django.contrib import admin, messages
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from executor.access import SCOPES, caller_of_user, create_token
from executor.domain.errors import ExecutorError
from executor.models import ApiToken

from . import display
from .readonly import ReadOnly

MEANING = {
    "read": "see batches, tasks and results",
    "submit": "add tasks",
    "control": "start, stop, cancel, retry, change and clear",
    "code": "add tasks that run code",
}


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(widget=forms.CheckboxSelectMultiple, help_text="What the token may do.")
    allowed: frozenset[str] = frozenset()

    class Meta:
        model = ApiToken
        fields = ("name", "scopes", "expires_at")
        help_texts = {"expires_at": "From then on it is invalid. Empty: never."}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        offered = [scope for scope in SCOPES if scope in self.allowed]
        field = cast(forms.MultipleChoiceField, self.fields["scopes"])
        field.choices = [(scope, f"{scope}: {MEANING[scope]}") for scope in offered]

    def clean_expires_at(self):
        expires_at = self.cleaned_data["expires_at"]
        if expires_at and expires_at <= timezone.now():
            raise forms.ValidationError("That is in the past.")
        return expires_at


@admin.register(ApiToken)
class TokenAdmin(ReadOnly):
    list_display = ("name", "state", "scopes_shown", "created_at", "expires_at", "last_used_at", "prefix")
    ordering = ("name",)
    search_fields = ("name", "prefix")
    actions = ("revoke",)
    fields = ("name", "state", "scopes_shown", "prefix", "created_at", "expires_at", "revoked_at", "last_used_at")

    def has_add_permission(self, request, obj=None):
        return request.user.has_perm("executor.add_apitoken")

    def has_revoke_permission(self, request):
        return request.user.has_perm("executor.change_apitoken")

    def get_fields(self, request, obj=None):
        return self.fields if obj else TokenForm.Meta.fields

    def get_readonly_fields(self, request, obj=None):
        return self.fields if obj else ()

    def get_form(self, request, obj=None, change=False, **kwargs):
        """Offer only the scopes that the person has."""
        if obj:
            return super().get_form(request, obj, change, **kwargs)
        form = type("TokenForm", (TokenForm,), {"allowed": caller_of_user(request.user).scopes})
        return super().get_form(request, obj, change, form=form, **kwargs)

    def add_view(self, request, form_url="", extra_context=None):
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        try:
            return super().add_view(request, form_url, {**buttons, **(extra_context or {})})
        except ExecutorError as error:  # the name was taken between validation and creation
            messages.error(request, f"{error.message} {error.fix}".strip())
            return HttpResponseRedirect(reverse("admin:executor_apitoken_add"))

    def save_model(self, request, obj, form, change):
        made, request.token_text = create_token(obj.name, obj.scopes, obj.expires_at)
        for field in made._meta.concrete_fields:
            setattr(obj, field.attname, getattr(made, field.attname))

    def response_add(self, request, obj, post_url_continue=None):
        """Show the token in this response alone; no message and no session stores it."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"Token {obj.name}",
            "opts": self.opts,
            "token": obj,
            "text": request.token_text,
            "media": self.media,
        }
        headers = {"Cache-Control": "no-store"}
        return TemplateResponse(request, "admin/executor/apitoken/created.html", context, headers=headers)

    @admin.action(description="Revoke selected tokens", permissions=["revoke"])
    def revoke(self, request, queryset):
        revoked = list(queryset.filter(revoked_at=None))
        ApiToken.objects.filter(pk__in=[token.pk for token in revoked], revoked_at=None).update(
            revoked_at=timezone.now()
        )
        for token in revoked:
            self.log_change(request, token, "Revoked.")
        messages.success(request, f"{len(revoked)} token{' is' if len(revoked) == 1 else 's are'} revoked.")

    @admin.display
    def state(self, token):
        if token.revoked_at:
            return "revoked"
        return "expired" if token.expires_at and token.expires_at <= timezone.now() else "valid"

    @admin.display(description="scopes")
    def scopes_shown(self, token):
        return ", ".join(token.scopes) or display.NOTHING
