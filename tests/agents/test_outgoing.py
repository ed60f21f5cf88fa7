"""Outgoing requests: refused addresses, redirects, limits, and this site itself."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from executor.agents import configuration, outgoing
from executor.agents.outgoing import AddressRefused, GuardedTransport, ResponseTooLarge, fetch, is_public

PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
        *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("198.18.0.1", "203.0.113.7", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1"),
        *("fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::"),
        *("2001:db8::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"),
    ],
)
def test_private_addresses_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_public(address):
    assert is_public(address)


class Recorder(httpx2.AsyncBaseTransport):
    """Transport below the guard: records the target of each connection and returns the given answers."""

    def __init__(self, *answers: httpx2.Response | Exception):
        self.answers = list(answers) or [httpx2.Response(200, content=b"hello")]
        self.seen: list[tuple[str, str, str | None]] = []

    async def handle_async_request(self, request):
        to = str(request.url)
        self.seen.append((to, request.headers["Host"], request.extensions.get("sni_hostname")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def names(monkeypatch):
    """Return `names["a.example"] = [[…], […]]`: the addresses per lookup. Other names use the real resolver."""
    known: dict[str, list[list[str]]] = {}
    real = outgoing.resolve

    async def resolve(host, port):
        if host not in known:
            return await real(host, port)
        return known[host].pop(0) if len(known[host]) > 1 else known[host][0]

    monkeypatch.setattr(outgoing, "resolve", resolve)
    return known


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0x7f000001/", "http://0x7f.1/"),
        *("http://2130706433/", "http://0/", "http://localhost/", "http://LOCALHOST/"),
        *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
        *("http://[0:0:0:0:0:0:0:1]/", "https://169.254.169.254/latest/meta-data/", "http://10.0.0.1/"),
        *("http://192.168.0.1/", "http://100.64.0.1/", "http://[fd00::1]/", "http://[fe80::1]/", "http://0.0.0.0/"),
        *("http://93.184.216.34:22/", "http://93.184.216.34:6379/", "http://93.184.216.34:25/"),
        *("http://user:secret@93.184.216.34/", "http://93.184.216.34@127.0.0.1/", "http://[64:ff9b::7f00:1]/"),
    ],
)
async def test_non_public_addresses_are_refused_before_sending(url):
    network = Recorder()
    with pytest.raises(AddressRefused):
        await fetch(url, transport=network)
    assert network.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://93.184.216.34/",
        "ftp://93.184.216.34/",
        "",
        "no address",
        "http://",
        "http://0177.0.0.1/",
    ],
)
async def test_invalid_urls_are_refused(url):
    network = Recorder()
    with pytest.raises((httpx2.TransportError, ValueError)):
        await fetch(url, transport=network)
    assert network.seen == []


async def test_control_characters_in_urls_are_refused():
    network = Recorder()
    with pytest.raises(ValueError):
        await fetch("http://93.184.216.34/\r\nX: y", transport=network)
    assert network.seen == []


async def test_connection_uses_the_checked_address(names):
    names["moody.example"] = [[PUBLIC], ["127.0.0.1"]]
    network = Recorder()
    assert await fetch("https://moody.example/a?b=c", transport=network) == b"hello"
    assert network.seen == [(f"https://{PUBLIC}/a?b=c", "moody.example", "moody.example")]


async def test_local_name_with_a_trailing_dot_is_refused(names):
    names["localhost."] = [["127.0.0.1"]]
    with pytest.raises(AddressRefused):
        await fetch("http://localhost./", transport=Recorder())


async def test_name_with_one_private_address_is_refused(names):
    names["half.example"] = [[PUBLIC, "10.0.0.1"]]
    with pytest.raises(AddressRefused):
        await fetch("https://half.example/", transport=Recorder())


async def test_next_address_is_tried_after_a_connection_error(names):
    names["two.example"] = [["8.8.8.8", PUBLIC]]
    network = Recorder(httpx2.ConnectError("no"), httpx2.Response(200, content=b"second"))
    assert await fetch("http://two.example/", transport=network) == b"second"
    assert [to for to, *_ in network.seen] == ["http://8.8.8.8/", f"http://{PUBLIC}/"]


@pytest.mark.parametrize("target", ["http://169.254.169.254/", "http://localhost/", "http://inner.example/x"])
async def test_redirects_to_private_addresses_are_refused(target, names):
    names["outer.example"], names["inner.example"] = [[PUBLIC]], [["192.168.1.5"]]
    network = Recorder(httpx2.Response(302, headers={"Location": target}), httpx2.Response(200, content=b"secret"))
    with pytest.raises(AddressRefused):
        await fetch("https://outer.example/", transport=network)
    assert len(network.seen) == 1


async def test_redirects_are_followed_up_to_a_limit(names):
    names["a.example"], names["b.example"] = [[PUBLIC]], [["8.8.8.8"]]
    away = [httpx2.Response(302, headers={"Location": "https://b.example/x"}) for _ in range(9)]
    network = Recorder(away[0], httpx2.Response(200, content=b"there"))
    assert await fetch("https://a.example/", transport=network) == b"there"
    with pytest.raises(httpx2.TooManyRedirects):
        await fetch("https://a.example/", transport=Recorder(*away))


class _Endless(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.send_response(200)
        if self.path == "/zip":
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65_536)
        except OSError:
            pass


@pytest.fixture
def endless():
    """Run a server with endless responses."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Endless)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/", "/zip"])
async def test_endless_responses_are_cut_off(endless, path):
    async with outgoing.client(endless, max_size=1_000_000) as http:
        with pytest.raises(ResponseTooLarge):
            await http.get(endless + path)


async def test_configured_origin_may_be_private_on_its_port_only(endless):
    network = Recorder()
    http = httpx2.AsyncClient(transport=GuardedTransport([endless], inner=network))
    await http.get(f"{endless}/")
    host, port = endless.removeprefix("http://").split(":")
    with pytest.raises(AddressRefused):
        await http.get(f"http://{host}:{int(port) + 1}/")
    with pytest.raises(AddressRefused):
        await http.get(f"https://{host}:{port}/")
    assert [to for to, *_ in network.seen] == [f"{endless}/"]


async def test_proxy_variables_are_ignored(endless, monkeypatch):
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with outgoing.client(endless, max_size=100_000) as http:
        with pytest.raises(ResponseTooLarge):
            await http.get(endless)


# --- this site itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1", socket.gethostname()])
def test_this_address_is_rejected_as_a_tool_server(host, settings):
    settings.BATCH_PORT = 8123
    url = f"http://{host}:8123/mcp"
    read = configuration.read({"mcpServers": {"us": {"url": url}}, "agentZero": {"me": {"url": url, "api_key": "k"}}})
    assert not read.servers and not read.instances
    assert all("this site itself" in read.problems[name] for name in ("us", "me"))


def test_allowed_hosts_are_rejected_as_tool_servers(settings):
    settings.ALLOWED_HOSTS = ["batch.example.org", "127.0.0.1", "localhost"]
    servers = {"us": {"url": "https://batch.example.org/mcp"}, "other": {"url": "https://other.example.org/mcp"}}
    read = configuration.read({"mcpServers": servers})
    assert list(read.servers) == ["other"] and "this site itself" in read.problems["us"]


async def test_name_resolving_to_this_site_is_refused_at_call_time(settings, names):
    settings.BATCH_PORT, names["later.example"] = 8123, [["127.0.0.1"]]
    network = Recorder()
    http = httpx2.AsyncClient(transport=GuardedTransport(["http://later.example:8123"], inner=network))
    with pytest.raises(AddressRefused):
        await http.get("http://later.example:8123/")
    assert network.seen == []
