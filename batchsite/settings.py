"""Settings of the site. Everything that differs between machines comes from the environment.

BATCH_DATA       folder of all state (default `var`): database, secret key, artifacts, embedded Valkey
DATABASE_URL     PostgreSQL (or another SQLite file); without it SQLite in BATCH_DATA
REDIS_URL        Valkey or Redis; without it the embedded server of `manage.py up`
BATCH_HOSTS      host names the site answers to besides the loopback ones, comma separated
BATCH_ORIGINS    origins trusted for forms behind a proxy, comma separated, e.g. https://batch.example.org
BATCH_HTTPS      1 when the site is served over TLS: secure cookies, HSTS
SECRET_KEY       default: made once and kept in BATCH_DATA/secret-key
"""

import os
import secrets
from importlib.util import find_spec
from pathlib import Path

import dj_database_url

from executor.processes.layout import ASSETS, PROJECT

BASE_DIR = PROJECT
DATA_DIR = Path(os.environ.get("BATCH_DATA", PROJECT / "var")).resolve()
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # params, results and sessions are nobody else's business


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise SystemExit(f"{name} must be a number, not {text!r}.") from None


def _words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def _secret_key() -> str:
    """The key of the environment, or one made once for this data folder and readable by its owner alone."""
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
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = [*_words("BATCH_HOSTS"), "127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = _words("BATCH_ORIGINS")

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # its pages are found in batchsite/urls.py: workers have none
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_rq",
    "executor",
    *_words("BATCH_APPS"),
]

# Where the files of the API's documentation page are. As an app, ninja would be loaded into every worker, 11 MB each.
_NINJA = Path(find_spec("ninja").origin).parent

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

# --- the database: the truth -------------------------------------------------------------------


def _database() -> dict:
    url = os.environ.get("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'batch.sqlite3'}"
    try:
        database = dj_database_url.parse(url)
    except ValueError:
        database = {}
    if not database.get("ENGINE", "").endswith(("sqlite3", "postgresql")):
        raise SystemExit("DATABASE_URL must be like postgresql://user:password@host:5432/name or sqlite:////path/file.")
    return database


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Request threads keep their connection (executor/web/asgi_handler.py). One to SQLite occupies no server slot, and
# closing it would drop its page cache: keep it for the life of the process.
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
    # Plans of statements that come again are kept, for those that ask for it (executor/db/postgresql.py).
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("prepare_threshold", 5)

# --- Valkey or Redis: tickets and the bell --------------------------------------------------------


def _redis_url() -> str:
    if url := os.environ.get("REDIS_URL"):
        return url
    written = DATA_DIR / "redis-url"  # by `manage.py up`, where it had to choose another address
    return written.read_text().strip() if written.exists() else f"unix://{DATA_DIR / 'valkey.sock'}"


REDIS_URL = _redis_url()
RQ_QUEUES = {
    name: {"URL": REDIS_URL, "SERIALIZER": "rq.serializers.JSONSerializer", "DEFAULT_TIMEOUT": 3600}
    for name in ("critical", "high", "medium", "low")
}
RQ = {
    "WORKER_CLASS": "executor.worker.batch_worker.BatchWorker",
    "JOB_CLASS": "executor.broker.tickets.TicketJob",
    "COMMIT_MODE": "auto",  # tickets are issued after the commit by our own hand
}
RQ_SHOW_ADMIN_LINK = False
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "batch"},
    }
}

# --- Batch Executor -------------------------------------------------------------------------------

BATCH_ARTIFACTS = DATA_DIR / "artifacts"
BATCH_LOGS = DATA_DIR / "logs"
BATCH_CONCURRENCY = int(_number("BATCH_CONCURRENCY", 20))  # tasks at once in one worker process
# Child processes for plain functions; 0: as many as tasks, up to 32.
BATCH_PROCESSES = int(_number("BATCH_PROCESSES", 0))
BATCH_HEARTBEAT = _number("BATCH_HEARTBEAT", 5)  # seconds between a worker's heartbeats
BATCH_HEARTBEAT_LIMIT = _number("BATCH_HEARTBEAT_LIMIT", 20)  # seconds of silence after which a worker is dead
BATCH_TICKET_LIMIT = _number("BATCH_TICKET_LIMIT", 15)  # seconds after which a ticket that is in no queue is lost
BATCH_GRACE = _number("BATCH_GRACE", 7)  # seconds that running tasks get after SIGTERM
BATCH_TIMEOUT = _number("BATCH_TIMEOUT", 3600)  # seconds an attempt may take when its task says nothing
BATCH_MAX_TASKS = int(_number("BATCH_MAX_TASKS", 100_000))  # tasks in one call
BATCH_MAX_BODY = int(_number("BATCH_MAX_BODY", 256 * 1024 * 1024))  # bytes of one request
BATCH_MAX_PARAMS = int(_number("BATCH_MAX_PARAMS", 1024 * 1024))  # bytes of one task's params, as JSON
BATCH_FRAMES_DAYS = _number("BATCH_FRAMES_DAYS", 30)  # days that the log of a quiet batch is kept
BATCH_INLINE_RESULT = int(_number("BATCH_INLINE_RESULT", 256 * 1024))  # bytes; a larger result becomes an artifact
# code_execution: the least level of its sandbox (isolated, restricted, limits only); below it nothing is run.
BATCH_CODE_MIN_LEVEL = os.environ.get("BATCH_CODE_MIN_LEVEL") or (
    "isolated" if os.environ.get("BATCH_HTTPS") == "1" else "restricted"
)
BATCH_CODE_NETWORK = os.environ.get("BATCH_CODE_NETWORK") == "1"  # whether a program may ask for the network
BATCH_CODE_MEMORY = int(_number("BATCH_CODE_MEMORY", 2048))  # MiB that a program may ask for
BATCH_CODE_USER = int(_number("BATCH_CODE_USER", 60900))  # what a worker of root runs programs as: nobody else
BATCH_CODE_PYTHON = os.environ.get("BATCH_CODE_PYTHON", "")  # interpreter for programs; default: the worker's own
BATCH_CODE_NODE = os.environ.get("BATCH_CODE_NODE", "")
BATCH_CODE_PATHS = _words("BATCH_CODE_PATHS")  # more folders that programs may read

# What {"$secret": "NAME"} in a task's parameters stands for: on each worker, BATCH_SECRET_ and that name.
BATCH_SECRETS = {
    name.removeprefix("BATCH_SECRET_"): value for name, value in os.environ.items() if name.startswith("BATCH_SECRET_")
}

# Who turns texts into vectors for the knowledge base and memories. Empty: wordllama, which needs no network;
# `sentence-transformers:<model>`; or the address of a server with OpenAI's /embeddings.
BATCH_EMBEDDER = os.environ.get("BATCH_EMBEDDER", "")
BATCH_EMBEDDER_MODEL = os.environ.get("BATCH_EMBEDDER_MODEL", "")
BATCH_EMBEDDER_KEY = os.environ.get("BATCH_EMBEDDER_KEY", "")
BATCH_MAX_DOCUMENT = int(_number("BATCH_MAX_DOCUMENT", 50 * 1024 * 1024))  # bytes of one file

# Tests alone: where a process dies, sleeps or fails (executor/db/failpoints.py).
BATCH_DEBUG_FAILPOINTS = os.environ.get("BATCH_DEBUG_FAILPOINTS", "")

# Agents: a JSON file that names MCP servers and Agent Zero instances, and the same as a setting (docs/agents.md).
BATCH_AGENT_TOOLS = os.environ.get("BATCH_AGENT_TOOLS", "")
AGENT_TOOLS: dict = {}
BATCH_PORT = int(_number("BATCH_PORT", 8000))  # where this site itself listens: no tool of an agent may be there

# --- the web --------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [ASSETS / "static", _NINJA / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)  # WhiteNoise complains where it is missing
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
if os.environ.get("BATCH_HTTPS") == "1":
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# The API reads bodies of up to BATCH_MAX_BODY itself; the outermost ASGI layer refuses larger ones before
# anything is kept of them.
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
        "httpx2": {"level": "WARNING"},  # it logs whole addresses, and some hold a key
        "mcp": {"level": "WARNING"},
    },
}
