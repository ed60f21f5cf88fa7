"""Settings of the site. All that differs between machines comes from environment variables: docs/configuration.md."""

import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url

from batchsite.environment import flag, integer, number, words
from executor.processes.layout import ASSETS, PROJECT

BASE_DIR = PROJECT
DATA_DIR = Path(os.environ.get("BATCH_DATA", PROJECT / "var")).resolve()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds parameters, results and sessions


def _secret_key() -> str:
    """Return the key of the environment, or that of this data folder, which is created once for its owner only."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    path = DATA_DIR / "secret-key"
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(50))
    except FileExistsError:
        pass
    return path.read_text()


SECRET_KEY = _secret_key()
DEBUG = flag("DEBUG")
HTTPS = flag("BATCH_HTTPS")
ALLOWED_HOSTS = [*words("BATCH_HOSTS"), "127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = words("BATCH_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # batchsite/urls.py discovers its pages: workers need none
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_rq",
    "executor",
    *words("BATCH_APPS"),
]

# For templates and static files of the API's documentation. As an app, ninja would take 11 MB in every worker.
_NINJA = Path(find_spec("ninja").origin).parent  # type: ignore[union-attr, arg-type]  # it is a requirement

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "executor.web.csp.ContentSecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "batchsite.urls"
ASGI_APPLICATION = "batchsite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ASSETS / "templates", _NINJA / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {
                name: f"executor.views.template_tags.{name}"
                for name in ("formatting", "function_docs", "modules", "states")
            },
        },
    }
]

# --- database -------------------------------------------------------------------------------------


def _database() -> dict[str, Any]:
    url = os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'batch.sqlite3'}"
    try:
        database: dict[str, Any] = {**dj_database_url.parse(url)}
    except ValueError:
        database = {}
    if not database.get("ENGINE", "").endswith(("sqlite3", "postgresql")):
        raise SystemExit("DATABASE_URL must be like postgresql://user:password@host:5432/name or sqlite:////path/file.")
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Request threads keep their connections (executor/web/asgi_handler.py). A connection to SQLite occupies no server, and
# closing it would drop its page cache: it stays open as long as its thread.
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["CONN_MAX_AGE"] = None
    DATABASES["default"]["OPTIONS"] = {
        # BEGIN IMMEDIATE takes the write lock before the first read of a transaction. The default takes it
        # later and then fails with "database is locked" instead of waiting.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Statements are bound by the server, and prepared when they recur: each is planned once a connection.
    _options = DATABASES["default"].setdefault("OPTIONS", {})
    _options.setdefault("server_side_binding", True)
    _options.setdefault("prepare_threshold", 5)

# --- Valkey or Redis: tickets and notifications ---------------------------------------------------


def _redis_url() -> str:
    if url := os.environ.get("REDIS_URL"):
        return url
    written = DATA_DIR / "redis-url"  # by `manage.py up`, when Valkey is not on the socket
    return written.read_text().strip() if written.exists() else f"unix://{DATA_DIR / 'valkey.sock'}"


REDIS_URL = _redis_url()
RQ_QUEUES = {
    name: {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer", "DEFAULT_TIMEOUT": 3600}
    for name in ("critical", "high", "medium", "low")
}
RQ = {
    "WORKER_CLASS": "executor.worker.batch_worker.BatchWorker",
    "JOB_CLASS": "executor.broker.ticket_job.TicketJob",
    "COMMIT_MODE": "auto",  # django_rq enqueues nothing: tickets are issued after the commit
}
RQ_SHOW_ADMIN_LINK = False
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "batch"},
    }
}

# --- tasks ----------------------------------------------------------------------------------------

MIB = 1024 * 1024

BATCH_ARTIFACTS = DATA_DIR / "artifacts"  # large results
BATCH_LOGS = DATA_DIR / "logs"  # live logs of tasks
BATCH_TIMEOUT = number("BATCH_TIMEOUT", 3600, least=0.001)  # seconds of an attempt, unless its task sets it
BATCH_MAX_TASKS = integer("BATCH_MAX_TASKS", 100_000, least=1)  # in one call
BATCH_MAX_BODY = integer("BATCH_MAX_BODY", 256 * MIB, least=1024)  # bytes of one request
BATCH_MAX_PARAMS = integer("BATCH_MAX_PARAMS", MIB, least=2)  # bytes of one task's parameters, as JSON
BATCH_INLINE_RESULT = integer("BATCH_INLINE_RESULT", 256 * 1024)  # bytes; a larger result becomes an artifact
BATCH_FRAMES_DAYS = number("BATCH_FRAMES_DAYS", 30)  # days until the frames of an unchanged batch are deleted

# {"$secret": "NAME"} in a task's parameters is the value of the worker's variable BATCH_SECRET_ and NAME.
BATCH_SECRETS = {
    name.removeprefix("BATCH_SECRET_"): value for name, value in os.environ.items() if name.startswith("BATCH_SECRET_")
}

# --- workers --------------------------------------------------------------------------------------

BATCH_CONCURRENCY = integer("BATCH_CONCURRENCY", 20, least=1, most=10_000)  # slots of one worker process
BATCH_PROCESSES = integer("BATCH_PROCESSES", 0, most=1_000)  # for plain functions; 0: one a slot, up to 32
BATCH_GRACE = number("BATCH_GRACE", 7)  # seconds for running tasks after SIGTERM
BATCH_HEARTBEAT = number("BATCH_HEARTBEAT", 5, least=0.1)  # seconds between two heartbeats
BATCH_HEARTBEAT_LIMIT = number("BATCH_HEARTBEAT_LIMIT", 20, least=0.3)  # seconds until a silent worker is dead
BATCH_TICKET_LIMIT = number("BATCH_TICKET_LIMIT", 15, least=0.1)  # seconds until a ticket in no queue is lost
BATCH_DEBUG_FAILPOINTS = os.environ.get("BATCH_DEBUG_FAILPOINTS", "")  # for tests only: executor/db/failpoints.py

# --- programs of tasks (code_execution) -----------------------------------------------------------

# The least level of the sandbox: isolated, restricted, limits only. Below it no program runs.
BATCH_CODE_MIN_LEVEL = os.environ.get("BATCH_CODE_MIN_LEVEL") or ("isolated" if HTTPS else "restricted")
BATCH_CODE_NETWORK = flag("BATCH_CODE_NETWORK")  # whether programs may request the network
BATCH_CODE_MEMORY = integer("BATCH_CODE_MEMORY", 2048, least=1)  # MiB that a program may request
BATCH_CODE_USER = integer("BATCH_CODE_USER", 60900, least=1, most=2**32 - 2)  # user id for programs, on a root worker
BATCH_CODE_PYTHON = os.environ.get("BATCH_CODE_PYTHON", "")  # interpreter of programs; default: the worker's
BATCH_CODE_NODE = os.environ.get("BATCH_CODE_NODE", "")  # default: `node` of the PATH
BATCH_CODE_PATHS = words("BATCH_CODE_PATHS")  # further folders that programs may read

# --- knowledge base and memories ------------------------------------------------------------------

# Empty for wordllama, which needs no network; `sentence-transformers:<model>`; or the address of a server with
# OpenAI's /embeddings.
BATCH_EMBEDDER = os.environ.get("BATCH_EMBEDDER", "")
BATCH_EMBEDDER_MODEL = os.environ.get("BATCH_EMBEDDER_MODEL", "")
BATCH_EMBEDDER_KEY = os.environ.get("BATCH_EMBEDDER_KEY", "")
BATCH_MAX_DOCUMENT = integer("BATCH_MAX_DOCUMENT", 50 * MIB, least=1)  # bytes

# --- agents ---------------------------------------------------------------------------------------

BATCH_AGENT_TOOLS = os.environ.get("BATCH_AGENT_TOOLS", "")  # JSON file with MCP servers and Agent Zero instances
AGENT_TOOLS: dict = {}  # the same, in a settings module (docs/agents.md)
BATCH_PORT = integer("BATCH_PORT", 8000, least=1, most=65535)  # of this site: no agent tool may use it

# --- web ------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [ASSETS / "static", _NINJA / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise warns when it is missing
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG
WHITENOISE_MAX_AGE = 60  # seconds; then revalidated by ETag, so that an upgrade is seen within a minute

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "batches"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
if HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# The API reads whole bodies. Daphne refuses larger ones while they arrive (executor/web/daphne_limits.py).
DATA_UPLOAD_MAX_MEMORY_SIZE = BATCH_MAX_BODY
FILE_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{levelname:<7} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "daphne": {"level": "WARNING"},
        "django.channels.server": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "httpx2": {"level": "WARNING"},  # it logs full URLs, and some contain a key
        "mcp": {"level": "WARNING"},
    },
}
