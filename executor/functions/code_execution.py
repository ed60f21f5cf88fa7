"""code_execution: run a program, given as text, in the sandbox."""

import asyncio
import re
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from django.conf import settings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from executor.domain.errors import CodeFailed, CodeFiles, CodeKilled, CodeMemory, CodeTimeout, SandboxUnavailable
from executor.domain.parameter_types import Base64
from executor.sandbox import policy, probe, programs
from executor.sandbox.run import Program, ProgramResult, run

from .context import TaskContext
from .registry import task_function

STDERR_LINES = 8  # last lines, quoted in the error's text
MAX_FILES = 200
_NO_MEMORY = re.compile(r"^MemoryError|heap out of memory|[Cc]annot allocate memory|std::bad_alloc", re.MULTILINE)


def _file_name(name: str) -> str:
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\x00" in name or str(path) != name:
        raise ValueError("a file's name must be a relative path below the program's folder, like data/input.csv")
    if len(name.encode("utf-8", "replace")) > 1000 or any(len(part.encode()) > 255 for part in path.parts):
        raise ValueError("a file's name is too long")
    return name


def _no_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("it must not contain a NUL character")
    return text


FileName = Annotated[str, AfterValidator(_file_name)]
Argument = Annotated[str, AfterValidator(_no_nul)]


class Base64File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    base64: Base64 = Field(description="The file's bytes in Base64.")


class CodeExecutionParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    runtime: Literal["python", "nodejs", "terminal"] = Field(
        "python", description="What runs the code: Python, Node.js, or a shell (bash where there is one)."
    )
    code: str = Field(min_length=1, description="The program.", examples=["print(6 * 7)"])
    stdin: str = Field("", description="What it reads.")
    args: list[Argument] = Field(default=[], max_length=1000, description="Its arguments.", examples=[["--verbose"]])
    env: dict[Argument, Argument] = Field(default={}, description="Environment variables.", examples=[{"LEVEL": "3"}])
    files: dict[FileName, str | Base64File] = Field(
        default={},
        max_length=MAX_FILES,
        description='Files in its folder: name → text, or {"base64": …} for bytes.',
        examples=[{"data/input.csv": "a,b\n1,2\n"}],
    )
    return_files: list[str] | None = Field(
        None,
        max_length=MAX_FILES,
        description="Patterns of the files to return, like *.csv; an empty list for none. By default every file that "
        "is new or changed, up to 100 files of 2 MiB, 8 MiB together.",
    )
    timeout: float | None = Field(None, gt=0, le=86_400, description="Timeout in seconds.")
    memory_mb: int = Field(512, ge=32, description="MiB of memory that it may use, with all processes it starts.")
    network: bool = Field(False, description="Whether it may use the network. The administrator must have allowed it.")
    check: bool = Field(True, description="An exit code other than 0, or a signal, fails the task.")

    @field_validator("env")
    @classmethod
    def _validate_variable_names(cls, env: dict[str, str]) -> dict[str, str]:
        if wrong := [name for name in env if not name or "=" in name]:
            raise ValueError(f"{wrong[0]!r} is not a name of an environment variable")
        return env

    @field_validator("memory_mb")
    @classmethod
    def _limit_memory(cls, memory: int) -> int:
        if memory > settings.BATCH_CODE_MEMORY:
            raise ValueError(f"at most {settings.BATCH_CODE_MEMORY} are allowed (BATCH_CODE_MEMORY)")
        return memory

    @field_validator("network")
    @classmethod
    def _permit_network(cls, network: bool) -> bool:
        if network and not settings.BATCH_CODE_NETWORK:
            raise ValueError("programs have no network unless the administrator sets BATCH_CODE_NETWORK=1")
        return network

    @model_validator(mode="after")
    def _reject_overlapping_files(self) -> Self:
        for name in self.files:
            if any(str(parent) in self.files for parent in PurePosixPath(name).parents):
                raise ValueError(f"files: {name!r} lies below another file")
        return self


@task_function("code_execution", example={"runtime": "python", "code": "print(6 * 7)"}, scope="code")
async def code_execution(params: CodeExecutionParameters, context: TaskContext) -> dict:
    """Run a program in Python, Node.js or the shell, in a sandbox, and keep its output and files.

    The result has exit_code, signal, stdout, stderr, truncated, duration, cpu_seconds, peak_memory, files (name → text
    or {"base64": …}) and sandbox (its level of containment). The program runs in an empty folder with its `files`,
    without network, and every process that it started ends with it. Its output can be watched live.
    """
    containment = probe.cached()
    if containment is None:
        containment = await asyncio.to_thread(probe.containment)
    policy.require_min_level(containment)
    program, user = _program(params, containment.python), probe.program_user()
    finished = await run(program, containment.launcher, user, context.log, context.redactor)
    result = _result(finished) | {"sandbox": containment.as_dict()}
    _raise_for_end(finished, result, params)
    return result


def _program(params: CodeExecutionParameters, python: str) -> Program:
    interpreter = {
        "python": lambda: python,
        "nodejs": lambda: programs.node(settings.BATCH_CODE_NODE),
        "terminal": lambda: programs.SHELL,
    }[params.runtime]()
    given = params.model_dump(mode="json")["files"]
    files = {name: {"text": content} if isinstance(content, str) else content for name, content in given.items()}
    main = programs.file_name(params.runtime, params.code, list(files))
    env = {"PYTHONUNBUFFERED": "1"} if params.runtime == "python" else {}
    return Program(
        argv=programs.command(params.runtime, interpreter, main, params.args, params.memory_mb),
        stdin=params.stdin,
        env=env | params.env,
        files={**files, main: {"text": params.code}},
        return_files=params.return_files,
        timeout=params.timeout or settings.BATCH_TIMEOUT,
        memory_mb=params.memory_mb,
        network=params.network,
        paths=[*programs.folders_of(interpreter), *settings.BATCH_CODE_PATHS],
    )


def _result(finished: ProgramResult) -> dict:
    names = "exit_code signal stdout stderr truncated duration cpu_seconds peak_memory files"
    return {name: getattr(finished, name) for name in names.split()}


def _raise_for_end(finished: ProgramResult, result: dict, params: CodeExecutionParameters) -> None:
    """Raise the error of a run that fails the attempt."""
    last = "\n".join(finished.stderr.strip().splitlines()[-STDERR_LINES:])
    quote = f"\n{last}" if last else ""
    match finished.ended:
        case "timeout":
            limit = params.timeout or settings.BATCH_TIMEOUT
            raise CodeTimeout(f"The program took longer than {limit:g} s and was killed.{quote}", details=result)
        case "memory":
            raise CodeMemory(
                f"The program used more than its {params.memory_mb} MiB and was killed.{quote}", details=result
            )
        case "files":
            raise CodeFiles(f"The program wrote {finished.error} and was killed.{quote}", details=result)
        case "not started":
            raise SandboxUnavailable(f"The program could not be started: {finished.error}.", details=result)
    if not params.check or finished.exit_code == 0:
        return
    if _NO_MEMORY.search(finished.stderr[-4000:]):
        raise CodeMemory(f"The program needed more than its {params.memory_mb} MiB of memory.{quote}", details=result)
    if finished.signal:
        raise CodeKilled(f"The program was ended by {finished.signal}.{quote}", details=result)
    raise CodeFailed(f"The program ended with exit code {finished.exit_code}.{quote}", details=result)
