"""Resources to read: batches, tasks, events, functions, workers."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from asgiref.sync import async_to_sync
from django.http import FileResponse, HttpResponse
from ninja import Query

from executor.actions import ACTIONS, BatchExecutor, Response
from executor.api.access import ApiRequest
from executor.db.dialect import close_idle_connection
from executor.domain.errors import NotFound
from executor.domain.states import TaskStatus
from executor.reads.batches import get_batch, list_batches
from executor.reads.feed import feed
from executor.reads.frames import frames_after
from executor.reads.functions import list_functions
from executor.reads.lookups import find_batch, find_task
from executor.reads.presenters import moment
from executor.reads.task_filter import TaskFilter
from executor.reads.tasks import get_task, list_tasks
from executor.reads.workers import list_workers
from executor.storage import attempt_log
from executor.storage.paths import result_path

from .rendering import answer
from .router import StrictRouter, documented_query, query_of

_FROM = Query(0, ge=0, le=2**53)

router = StrictRouter()
MAX_WAIT = 60.0  # seconds


def _words(text: str | None) -> list[str]:
    return [word for word in (text or "").split(",") if word and word != "all"]


@router.get("/batches", tags=["batches"], summary="Batches, the newest first.")
def batches(
    request: ApiRequest,
    limit: int = Query(50, ge=1, le=500),
    cursor: str | None = None,
    state: str = "",
    q: str = "",
):
    request.auth.require("read")
    found, next_cursor = list_batches(limit, cursor, state, q)
    return {"batches": found, "next_cursor": next_cursor}


@router.get("/batches/{batch_id}", tags=["batches"], summary="One batch, by id or name.")
def batch(request: ApiRequest, batch_id: str):
    request.auth.require("read")
    return get_batch(batch_id)


@router.get("/batches/{batch_id}/tasks", tags=["batches"], summary="Tasks of a batch, without their results.")
def tasks(
    request: ApiRequest,
    batch_id: str,
    status: str = "",
    priority: str = "",
    function: str = "",
    q: str = "",
    limit: int = Query(100, ge=1, le=1000),
    cursor: str | None = None,
    offset: int = Query(0, ge=0, le=1_000_000),
    order: str = Query("number", pattern="^-?number$"),
):
    request.auth.require("read")
    filters = TaskFilter(_words(status), _words(priority), function, q)
    page = list_tasks(batch_id, filters, limit, cursor, offset, newest_first=order == "-number")
    return {
        "tasks": page.items,
        "next_cursor": page.next_cursor,
        "matching": page.matching,
        "searched_to": page.searched_to,
    }


@router.get(
    "/batches/{batch_id}/results",
    tags=["batches"],
    summary="A page of results; see the action `results`.",
    openapi_extra=documented_query(ACTIONS["results"].parameters, "batch"),
)
@query_of(ACTIONS["results"].parameters)
def results(request: ApiRequest, batch_id: str):
    return _call(request, "results", batch_id).data


@router.get(
    "/batches/{batch_id}/export",
    tags=["batches"],
    summary="All results as a file.",
    openapi_extra=documented_query(ACTIONS["export"].parameters, "batch"),
)
@query_of(ACTIONS["export"].parameters)
def export(request: ApiRequest, batch_id: str):
    return answer(_call(request, "export", batch_id))


def _call(request: ApiRequest, action: str, batch_id: str) -> Response:
    """Call an action with the arguments of the query; an empty one is left out."""
    arguments = {name: value for name, value in request.GET.items() if value != ""}
    return BatchExecutor(request.auth).call(action, {**arguments, "batch": batch_id})


@router.get(
    "/batches/{batch_id}/events",
    tags=["batches"],
    summary="The batch's log after a frame; may wait for the next frame.",
)
def events(
    request: ApiRequest,
    batch_id: str,
    after: int = _FROM,
    wait: float = Query(0, ge=0, le=MAX_WAIT),
):
    """Return the frames after `after`. `seq` is the last one: continue with `after=seq`.

    `more` is true when there are further ones already. If the frames have been deleted, `snapshot` is the batch as it
    is now: read its tasks, and continue with `after=seq`.
    """
    request.auth.require("read")
    key = find_batch(batch_id).batch_id
    frames = frames_after(key, after)
    if not frames.frames and not frames.gone and wait:
        close_idle_connection()
        async_to_sync(_next_frame)(key, after, wait)
        frames = frames_after(key, after)
    if frames.gone:
        snapshot = get_batch(key)
        return {"seq": snapshot["seq"], "frames": [], "snapshot": snapshot}
    seq = frames.frames[-1][0] if frames.frames else frames.last_seq
    # The frames are JSON text already, so they are not parsed.
    lines = ",\n".join(
        f'{{"seq":{number},"at":"{moment(at)}","changes":{changes},"counts":{counts}}}'
        for number, at, changes, counts in frames.frames
    )
    more = "true" if seq < frames.last_seq else "false"
    body = f'{{"seq":{seq},"last_seq":{frames.last_seq},"more":{more},"frames":[{lines}]}}'
    return HttpResponse(body, content_type="application/json")


async def _next_frame(batch_id: UUID, after: int, wait: float) -> None:
    async with feed().watch(batch_id, after) as watcher:
        await watcher.next(wait)


@router.get("/tasks/{task_id}", tags=["tasks"], summary="One task with its parameters and attempts.")
def task(request: ApiRequest, task_id: str):
    request.auth.require("read")
    return get_task(task_id)


@router.get("/tasks/{task_id}/log", tags=["tasks"], summary="The live log of the task's last attempt.")
def log(request: ApiRequest, task_id: str, after: int = _FROM, attempt: int | None = Query(None, ge=1, le=2**31 - 1)):
    """Return the text from byte `after` on; continue with `after=next`.

    `skipped` is the number of bytes before it that were not kept. `done` is true at the end of the log.
    """
    request.auth.require("read")
    found = find_task(task_id, "batch_id", "number", "attempt", "status")
    wanted = attempt or found.attempt
    piece = attempt_log.read(found.batch_id, found.number, wanted, after)
    is_over = wanted < found.attempt or found.status != TaskStatus.RUNNING
    return {**asdict(piece), "attempt": wanted, "done": is_over and piece.next >= piece.size}


@router.get("/tasks/{task_id}/artifact", tags=["tasks"], summary="The whole of a large result.")
def artifact(request: ApiRequest, task_id: str):
    request.auth.require("read")
    found = find_task(task_id, "batch_id", "number", "attempt")
    path = result_path(found.batch_id, found.number, found.attempt)
    if not path.exists():
        raise NotFound("This task has no artifact.", fix="Its result is in the task itself.")
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name, content_type="application/json")


@router.get("/functions", tags=["service"], summary="Task functions with their parameters.")
def functions(request: ApiRequest):
    request.auth.require("read")
    return {"functions": list_functions()}


@router.get("/workers", tags=["service"], summary="Worker processes and their resource usage.")
def workers(request: ApiRequest):
    request.auth.require("read")
    return {"workers": list_workers()}
