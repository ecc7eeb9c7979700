"""The page's server answers this machine alone: token, Host and Origin, and requests of the right kind and size."""

import http.client
import json
import re
import urllib.error
import urllib.request

import numpy as np
import pytest

from fastnn.page.server import MAX_BODY, PageServer, content_security_policy, plain


class Echo:
    """Answers with what was asked; refuses the number 3."""

    @property
    def questions(self):
        return {"echo": self.echo}

    def echo(self, request):
        if request.get("number") == 3:
            raise ValueError("number must not be 3")
        return request


@pytest.fixture(scope="module")
def server():
    with PageServer(Echo()) as server:
        yield server


def fetch(server, method, path, body=None, **headers):
    """Send a request as it is; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    given = {"Host": f"127.0.0.1:{server.port}"}
    if body is not None:
        given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
    for name, value in (given | {key.replace("_", "-"): value for key, value in headers.items()}).items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    found = response.status, response.headers, response.read()
    connection.close()
    return found


def path_of(server, name=""):
    return server.path + name


def test_it_listens_on_this_machine_alone(server):
    assert server._http.socket.getsockname()[0] == "127.0.0.1"
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{43}/", server.address)


def test_the_page_and_an_answer_are_fetched_by_any_client(server):
    with urllib.request.urlopen(server.address, timeout=10) as response:
        assert response.read().startswith(b"<!DOCTYPE html>")
    request = urllib.request.Request(
        server.address + "echo", b'{"number": 4}', {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert json.load(response) == {"number": 4}


@pytest.mark.parametrize(
    "path", ["/", "/echo", "//", "/wrong/", "/wrong/echo", "/{token}x/", "/{shorter}/", "/%C3%A9/", "//[/"]
)
def test_nothing_is_answered_without_the_token(server, path):
    token = server.address.split("/")[3]
    path = path.format(token=token, shorter=token[:-1])
    assert fetch(server, "GET", path)[0] == 403
    assert fetch(server, "POST", path, b"{}")[0] == 403


@pytest.mark.parametrize("origin", ["http://example.org", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1", ""])
def test_other_sites_are_refused(server, origin):
    origin = origin.format(port=server.port)
    for method, path, body in (("GET", path_of(server), None), ("POST", path_of(server, "echo"), b"{}")):
        status, headers, text = fetch(server, method, path, body, Origin=origin)
        assert (status, "Origin" in json.loads(text)["error"]) == (403, True)
        assert headers["Access-Control-Allow-Origin"] is None


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_page_itself_is_no_other_site(server, name):
    host = f"{name}:{server.port}"
    assert fetch(server, "POST", path_of(server, "echo"), b"{}", Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize("host", [None, "example.org", "example.org:{port}", "127.0.0.1", "127.0.0.1:1"])
def test_a_name_that_leads_here_is_refused(server, host):
    host = host and host.format(port=server.port)
    assert fetch(server, "GET", path_of(server), Host=host)[0] == 403


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (400, b"{", {}),
        (400, b"\xff", {}),
        (400, b"[" * 100_000, {}),
        (400, b"[1]", {}),
        (400, b'{"number": 3}', {}),
        (411, b"{}", {"Content_Length": None}),
        (411, b"{}", {"Content_Length": "-2"}),
        (411, b"{}", {"Content_Length": "1_0"}),
        (413, b"{}", {"Content_Length": str(MAX_BODY + 1)}),
        (415, b"{}", {"Content_Type": "text/plain"}),
        (415, b"{}", {"Content_Type": None}),
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_is_refused_with_a_reason(server, status, body, headers):
    found, sent, text = fetch(server, "POST", path_of(server, "echo"), body, **headers)
    assert found == status
    assert sent["Connection"] == "close"
    assert len(json.loads(text)["error"]) > 10


def test_the_largest_request_is_answered(server):
    body = json.dumps({"text": ""}).encode()
    body = body[:-2] + b"x" * (MAX_BODY - len(body)) + body[-2:]
    assert len(body) == MAX_BODY
    assert fetch(server, "POST", path_of(server, "echo"), body)[0] == 200


def test_methods_and_questions_that_there_are_not(server):
    assert fetch(server, "POST", path_of(server, "other"), b"{}")[0] == 404
    assert fetch(server, "GET", path_of(server, "echo"))[0] == 405
    assert fetch(server, "POST", path_of(server), b"{}")[0] == 405
    assert fetch(server, "OPTIONS", path_of(server, "echo"))[0] == 501


def test_a_ticket_leads_to_the_page_once(server):
    path = "/" + server.new_ticket().split("/")[3]
    assert fetch(server, "GET", "/wrong")[0] == 403
    status, headers, _ = fetch(server, "GET", path)
    assert (status, headers["Location"]) == (303, path_of(server))
    assert fetch(server, "GET", path)[0] == 403


def test_the_page_may_load_nothing_from_elsewhere(server):
    _, headers, page = fetch(server, "GET", path_of(server))
    policy = headers["Content-Security-Policy"]
    assert policy == content_security_policy(page.decode())
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert re.findall(r"\b(?:src|href|action)=|https?://|\bstyle=|\bon\w+=\"", page.decode()) == []
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_waiting_for_a_visit_ends():
    with PageServer(Echo()) as server:
        server.wait_for_visit(0.05)
        assert not server._visited
        fetch(server, "GET", path_of(server))
        server.wait_for_visit(60)
        assert server._visited


def test_a_closed_server_frees_its_port():
    with PageServer(Echo()) as server:
        pass
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.address, timeout=5)


def test_numbers_that_json_lacks_become_null():
    given = {"a": np.array([1.5, np.nan]), "b": [np.float32(np.inf), np.int64(2), "x", None], "c": np.arange(2)}
    assert plain(given) == {"a": [1.5, None], "b": [None, 2, "x", None], "c": [0, 1]}
