"""Request smuggling: what the proxy takes for one request, the service takes for one request.

Each attack hides a request where only one of two readers would see it. Every request that the service sees must be one
that the proxy sent, named by the id that the proxy gave it, and the next client must get its own reply.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.cases import load_corpus
from tests.e2e.conftest import Service
from tests.proxy.conftest import Nginx

POST = "POST /predict HTTP/1.1\r\nHost: a\r\n"
HIDDEN = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
PREFIX = "GET /smuggled HTTP/1.1\r\nX: "
CHUNKED = "Transfer-Encoding: chunked\r\n"


def sized(body: str, *more: str) -> str:
    """A body of declared length, with further headers."""
    return f"{POST}Content-Length: {len(body)}\r\n{''.join(more)}\r\n{body}"


def chunk(data: str, extension: str = "") -> str:
    return f"{len(data):x}{extension}\r\n{data}\r\n"


END = chunk("")
ATTACKS = {
    "CL.TE": sized(END + HIDDEN, CHUNKED),
    "CL.TE with a prefix": sized(END + PREFIX, CHUNKED),
    "TE.CL": f"{POST}{CHUNKED}Content-Length: 4\r\n\r\n{chunk(HIDDEN)}{END}",
    "TE.CL with a length of nothing": f"{POST}{CHUNKED}Content-Length: 0\r\n\r\n{chunk(HIDDEN)}{END}",
    "CL.CL": f"{POST}Content-Length: 0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "CL.CL the other way": f"{POST}Content-Length: {len(HIDDEN)}\r\nContent-Length: 0\r\n\r\n{HIDDEN}",
    "a list of lengths": f"{POST}Content-Length: 0, {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a signed length": f"{POST}Content-Length: +{len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a length with a tab": f"{POST}Content-Length:\t{len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a length with zeros": f"{POST}Content-Length: 000{len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a length beyond 64 bits": f"{POST}Content-Length: {2**64 + 5}\r\n\r\n{HIDDEN}",
    "a length with GET": f"GET /health/live HTTP/1.1\r\nHost: a\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a length behind a space": f"{POST}Content-Length : {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "an underscored length": sized(HIDDEN, "Content_Length: 0\r\n"),
    "an underscored coding": sized(END + HIDDEN, "Transfer_Encoding: chunked\r\n"),
    "a folded length": f"{POST}Content-Length:\r\n {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a folded coding": sized(END + HIDDEN, "Transfer-Encoding:\r\n chunked\r\n"),
    "a coding in a folded header": sized(END + HIDDEN, "X: a\r\n Transfer-Encoding: chunked\r\n"),
    "a bare line feed before a coding": sized(END + HIDDEN, "X: a\nTransfer-Encoding: chunked\r\n"),
    "a bare line feed within a head": f"{POST}X: a\n\n{HIDDEN}\r\n",
    "a bare carriage return before a coding": sized(END + HIDDEN, "X: a\rTransfer-Encoding: chunked\r\n"),
    "chunks in HTTP/1.0": f"POST /predict HTTP/1.0\r\nConnection: keep-alive\r\n{CHUNKED}\r\n{END}{HIDDEN}",
    "a chunk extension": f"{POST}{CHUNKED}\r\n{chunk('{}', ';a=b')}{END}",
    "a hidden request in a chunk extension": f"{POST}{CHUNKED}\r\n2;{HIDDEN}{{}}\r\n{END}",
    "a line feed in a chunk extension": f"{POST}{CHUNKED}\r\n2;\nxx\r\n{len(HIDDEN):x}\r\n0\r\n\r\n{HIDDEN}\r\n{END}",
    "a quoted line break in a chunk extension": f'{POST}{CHUNKED}\r\n2;a="\r\n{{}}\r\n0\r\n\r\n{HIDDEN}"\r\n{END}',
    "a chunk that ends with a line feed": f"{POST}{CHUNKED}\r\n2\r\n{{}}\n{END}{HIDDEN}",
    "a chunk longer than its size": f"{POST}{CHUNKED}\r\n1\r\n{{}}\r\n{END}{HIDDEN}",
    "a chunk size that wraps": f"{POST}{CHUNKED}\r\n{2**64:x}\r\n{END}{HIDDEN}",
    "a chunk size with a prefix": f"{POST}{CHUNKED}\r\n0x{len(HIDDEN):x}\r\n{HIDDEN}\r\n{END}",
    "a chunk size with a space": f"{POST}{CHUNKED}\r\n{len(HIDDEN):x} \r\n{HIDDEN}\r\n{END}",
    "a last chunk with a line feed": f"{POST}{CHUNKED}\r\n0\n\n{HIDDEN}",
    "a trailer with a length": f"{POST}{CHUNKED}\r\n{chunk('{}')}0\r\nContent-Length: {len(HIDDEN)}\r\n\r\n{HIDDEN}",
    "a trailer with an id": f"{POST}{CHUNKED}\r\n{chunk('{}')}0\r\nX-Request-ID: smuggled\r\n\r\n",
    "no last chunk": f"{POST}{CHUNKED}\r\n{chunk('{}')}{HIDDEN}",
    "an offer to upgrade with a body": sized(HIDDEN, "Connection: upgrade\r\nUpgrade: websocket\r\n"),
    "an offer to upgrade to HTTP/2": sized(
        HIDDEN, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    ),
    "headers named to be dropped": sized(HIDDEN, "Connection: Content-Length, X-Request-ID, close\r\n"),
    "an id of its own": sized("{}", "X-Request-ID: smuggled\r\n"),
    "two Hosts": sized("{}", "Host: b\r\n"),
    "an absolute target": f"GET http://b/health/live HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}",
    "a line break in the path": "GET /a%0d%0aHost:%20b%0d%0a%0d%0aGET%20/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "an expectation": sized(HIDDEN, "Expect: 100-continue\r\n"),
    "an expectation nobody can meet": sized(HIDDEN, "Expect: x\r\n"),
    "a request behind a request": sized("{}") + HIDDEN,
    "many requests behind each other": sized("{}") * 20 + HIDDEN,
    "a request behind HEAD": f"HEAD /predict HTTP/1.1\r\nHost: a\r\n\r\n{HIDDEN}",
    "a body shorter than declared": f"{POST}Content-Length: {len(HIDDEN) + 100}\r\n\r\n{HIDDEN}",
    "HTTP/0.9 behind a request": sized("{}") + "GET /smuggled\r\n",
} | {
    f"TE.TE {name}": sized(END + HIDDEN, f"Transfer-Encoding{value}\r\n")
    for name, value in {
        "unknown": ": xchunked", "with a parameter": ": chunked;q=1", "quoted": ': "chunked"',
        "in capitals": ": CHUNKED", "behind a tab": ":\tchunked", "before a tab": ": chunked\t",
        "behind a vertical tab": ":\x0bchunked", "with NUL": ": chunked\0", "spaced": " : chunked",
        "twice in one": ": chunked, chunked", "and identity": ": chunked, identity",
        "after identity": ": identity, chunked", "empty": ":",
    }.items()
} | {
    "TE.TE two headers": sized(END + HIDDEN, CHUNKED, "Transfer-Encoding: identity\r\n"),
    "TE.TE two headers the other way": sized(END + HIDDEN, "Transfer-Encoding: identity\r\n", CHUNKED),
    "TE.TE without a length": f"{POST}{CHUNKED}{CHUNKED}\r\n{END}{HIDDEN}",
}  # fmt: skip


@pytest.mark.parametrize("proxy", ["strict", "lax"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_next_client_gets_its_own_reply(nginx: Nginx, proxy: str, attack: str) -> None:
    """Over the connections that the attacker's requests went over: several, for the proxy chooses among them."""
    nginx.exchange(proxy, ATTACKS[attack].encode("latin-1"))
    for number in range(4):
        reply = nginx.exchange(proxy, b"GET /victim-%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % number)
        head, _, body = reply.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404 "), reply
        assert json.loads(body)["instance"] == f"/victim-{number}"


def test_the_service_sees_what_the_proxy_sent_and_nothing_else(nginx: Nginx, behind: Service) -> None:
    """Request by request, by the proxy's ids: of all attacks, and of the whole corpus of bad requests too."""
    before = {entry["id"] for entry in nginx.forwarded()}
    seen_before = len(behind.settled_log_lines())
    for proxy in nginx.ports:
        for data in (*(attack.encode("latin-1") for attack in ATTACKS.values()), *corpus()):
            nginx.exchange(proxy, data)
    sent = Counter(entry["id"] for entry in nginx.forwarded() if entry["id"] not in before)
    lines = behind.settled_log_lines()[seen_before:]
    answered = Counter(line["request_id"] for line in lines if line["event"] == "http.request")
    refused = [line for line in lines if line["event"] == "request.rejected" and line["request_id"] not in answered]
    assert answered.keys() - sent.keys() == set()
    assert set(answered.values()) == {1}
    # Some were refused before their id was read, so that these can only be counted.
    assert len(refused) == len(sent) - len(answered)


def corpus() -> list[bytes]:
    """The corpus's requests, except for the large ones."""
    return [request for case in load_corpus() if len(request := case.request()) < 100_000]
