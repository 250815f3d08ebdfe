"""What a request's head must be."""

from __future__ import annotations

import pytest

from app.worker.head import RefusedError, check_head, without_upgrade

HOST = (b"host", b"a")


def refusal(version: str, *headers: tuple[bytes, bytes]) -> int:
    """The status a head is refused with."""
    with pytest.raises(RefusedError) as caught:
        check_head(version, headers, 1000)
    return caught.value.status


@pytest.mark.parametrize(
    "host", [b"", b"a", b"a.example:5000", b"127.0.0.1", b"[::1]:80", b"a_b", b"%C3%A9", b"a,b", b"a:"]
)
def test_a_host_is_any_that_a_url_can_name(host: bytes) -> None:
    """RFC 3986, section 3.2, without the user."""
    assert check_head("1.1", [(b"host", host)], 1000) is False


@pytest.mark.parametrize("host", [b"a b", b"a/b", b"a@b", b"a:b", b"a?b", b"a#b", b"[::1", b"[::1]a", b'"a"', b"\xe9"])
def test_what_is_no_host_is_refused(host: bytes) -> None:
    """RFC 9112, section 3.2."""
    assert refusal("1.1", (b"host", host)) == 400


def test_chunks_are_unknown_to_http_1_0() -> None:
    """A proxy that speaks it passes such a body on as it is (RFC 9112, section 6.1)."""
    chunked = (b"transfer-encoding", b"Chunked")
    assert check_head("1.1", [HOST, chunked], 1000) is False
    assert refusal("1.0", HOST, chunked) == 400


def test_the_first_thing_wrong_is_told() -> None:
    """Versions before headers, headers in their order, the number of hosts last."""
    assert refusal("2.0", HOST, (b"expect", b"x")) == 505
    assert refusal("1.1", (b"expect", b"x"), (b"content-length", b"1001")) == 417
    assert refusal("1.1", (b"content-length", b"1001"), (b"expect", b"x")) == 413
    assert refusal("1.1", (b"content-length", b"1000")) == 400


def test_only_a_client_of_http_1_1_is_told_to_go_on() -> None:
    """One of HTTP/1.0 would take the interim reply for the answer."""
    expects = (b"expect", b"100-Continue")
    assert check_head("1.1", [HOST, expects], 1000) is True
    assert check_head("1.0", [HOST, expects], 1000) is False


def test_a_head_without_its_offer_says_all_else_that_it_said() -> None:
    """In the same order; of the header that names the connection, the wish to close it stays."""
    headers = [
        (b"host", b"a"), (b"upgrade", b"h2c"), (b"connection", b"Upgrade, Close, HTTP2-Settings"), (b"x", b"1"),
        (b"http2-settings", b"AAMA"), (b"x", b""),
    ]  # fmt: skip
    assert without_upgrade(b"POST", b"/a?b", "1.1", headers) == (
        b"POST /a?b HTTP/1.1\r\nhost: a\r\nConnection: close\r\nx: 1\r\nx: \r\n\r\n"
    )
