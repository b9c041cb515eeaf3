"""Who gets in: nothing that a foreign page, a rebound name or a second operator sends may move the rig."""

import http.client
import urllib.error
import urllib.request

import pytest

from exlcap.capture.preview.guard import Control, Keys, is_loopback
from exlcap.capture.preview.serve import listen
from exlcap.core.errors import ExlcapError
from tests.capture.conftest import TINY, make_lab
from tests.capture.preview.serving import Page, served, simulated, status_of, until


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return make_lab(tmp_path_factory.mktemp("guard") / "lab", TINY)


@pytest.fixture(scope="module")
def live_and_url(lab):
    with served(lab, simulated()) as (live, url):
        until(lambda: live.status.phase == "live")
        yield live, url


@pytest.fixture
def page(live_and_url):
    page = Page(live_and_url[1])
    assert page.do("take-over")[0] == 200
    return page


SHOW = b'{"scene": "quay", "exposure_us": 500, "gain_db": 1, "k": 4}'


def test_the_page_that_controls_may_change_settings(live_and_url, page):
    assert page.post("/api/do/show", SHOW).status == 200
    assert live_and_url[0].wanted.scene == "quay"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8150", "127.0.0.1.evil.example", "10.0.0.7", "", "[::2]"]
)
@pytest.mark.parametrize("path", ["/", "/app.js", "/api/look"])
def test_a_name_that_is_not_ours_is_not_served(live_and_url, page, host, path):
    assert status_of(lambda: page.get(path, host=host)) == 421


@pytest.mark.parametrize("host", ["localhost:9999", "127.0.0.1", "[::1]:8150", "LOCALHOST"])
def test_a_tunnel_may_use_any_port_and_any_name_of_loopback(page, host):
    assert page.get("/", host=host).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": None}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"cookie": None}, 403),
        ({"cookie": "exlcap-1=x.y"}, 403),
        ({"x_exlcap_page": None}, 403),
        ({"x_exlcap_page": "0123456789abcdef." + 64 * "0"}, 403),
    ],
)
def test_a_change_needs_origin_cookie_and_token(live_and_url, page, headers, status):
    before = live_and_url[0].wanted
    body = b'{"scene": "stolen", "exposure_us": 600, "gain_db": 1, "k": 4}'
    assert status_of(lambda: page.post("/api/do/show", body, **headers)) == status
    assert live_and_url[0].wanted == before


def test_pictures_need_cookie_and_token_as_well(page):
    assert status_of(lambda: page.get("/api/look")) == 200
    assert status_of(lambda: page.get("/api/look", cookie=None)) == 403
    assert status_of(lambda: page.get("/api/look", x_exlcap_page=None)) == 403


def test_a_token_is_of_one_browser(live_and_url, page):
    other = Page(live_and_url[1])
    assert status_of(lambda: other.get("/api/look", x_exlcap_page=page.token)) == 403


def test_changes_are_no_get_requests(page):
    assert status_of(lambda: page.get("/api/do/shoot")) == 405


def test_what_is_kept_in_a_browser_and_what_a_browser_may_load(live_and_url):
    answer = urllib.request.urlopen(live_and_url[1] + "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers


def test_web_sockets_are_refused(live_and_url):
    connection = http.client.HTTPConnection(live_and_url[1].removeprefix("http://"))
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13", "sec-websocket-key": "x"}
    connection.request("GET", "/api/look", headers=upgrade)
    assert connection.getresponse().status == 403


def test_one_page_controls_and_others_watch_until_they_take_over(live_and_url, page):
    other = Page(live_and_url[1])
    assert page.look()[0]["controls"] is True
    assert other.look()[0]["controls"] is False
    status, answer = other.do("snapshot")
    assert status == 409 and answer == {"message": "another page controls the rig", "hint": "take over first"}
    assert other.do("take-over")[0] == 200
    assert page.do("snapshot")[0] == 409
    assert page.look()[0]["controls"] is False


def test_two_tabs_of_one_browser_are_two_pages(live_and_url, page):
    tab = Page(live_and_url[1], page.cookie)
    assert tab.do("snapshot")[0] == 409


def test_a_page_that_is_gone_gives_control_to_the_next():
    now = 100.0
    control = Control(now_s=lambda: now)
    assert control.seen("a") and not control.seen("b")
    now = 109.0
    assert not control.seen("b") and control.seen("a")
    now = 118.0
    assert not control.seen("b")
    now = 120.0
    assert control.seen("b") and not control.seen("a")


@pytest.mark.parametrize(
    ("action", "body", "says"),
    [
        ("show", b'{"scene": "../etc", "exposure_us": 500, "gain_db": 1, "k": 1}', "cannot name a scene"),
        ("show", b'{"scene": "con", "exposure_us": 500, "gain_db": 1, "k": 1}', "cannot name a scene"),
        ("show", b'{"scene": "x", "exposure_us": "fast", "gain_db": 1, "k": 1}', "exposure_us"),
        ("show", b'{"scene": "x", "exposure_us": 500, "gain_db": NaN, "k": 1}', "gain_db"),
        ("show", b'{"scene": "x", "exposure_us": 500, "gain_db": 1, "k": 0}', "k: "),
        ("show", b'{"scene": "x", "exposure_us": 500, "gain_db": 39, "k": 12}', "step k = 12"),
        ("show", b"[", "show"),
        ("shoot", b'{"pairs": 0}', "pairs"),
        ("shoot", b'{"scene": "x"}', "scene"),
    ],
)
def test_malformed_requests_are_told_and_change_nothing(live_and_url, page, action, body, says):
    before = live_and_url[0].wanted
    with pytest.raises(urllib.error.HTTPError) as error:
        page.post(f"/api/do/{action}", body)
    assert error.value.code == 400 and says in error.value.read().decode()
    assert live_and_url[0].wanted == before


def test_a_request_without_end_is_cut_off(page):
    assert status_of(lambda: page.post("/api/do/show", b" " * 5000)) == 413
    assert status_of(lambda: page.post("/api/do/nonsense")) == 404


@pytest.mark.parametrize(
    "asked", ["width=9000", "mode=x", "amplify=x", "loupe=nan,0", "loupe=2,0", "loupe=1", "after=x"]
)
def test_looks_that_no_page_of_ours_asks_for_are_refused(page, asked):
    assert status_of(lambda: page.get(f"/api/look?{asked}")) == 400


@pytest.mark.parametrize("path", ["/../live.py", "/%2e%2e/live.py", "/index.html", "/rig.toml"])
def test_only_the_parts_of_the_page_are_served(page, path):
    assert status_of(lambda: page.get(path)) == 404


def test_beyond_loopback_the_first_address_must_hold_the_token(lab):
    with served(lab, simulated(), access="secret") as (_, url):
        assert status_of(lambda: urllib.request.urlopen(url + "/")) == 403
        assert status_of(lambda: urllib.request.urlopen(url + "/?token=Secret")) == 403
        answer = urllib.request.urlopen(url + "/?token=secret")
        cookie = answer.headers["set-cookie"].split(";")[0]
        assert Page(url, cookie).look()[0]["controls"] is True, "the cookie is enough from then on"


def test_loopback_is_told_from_other_addresses():
    assert all(map(is_loopback, ["127.0.0.1", "127.1.2.3", "::1", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "192.168.1.5", "::", "lab-pc"]))


def test_a_cookie_of_another_run_is_not_known():
    old, new = Keys(None, 8150), Keys(None, 8150)
    session, cookie = old.new_session()
    assert old.session({old.cookie: cookie}) == session
    assert new.session({new.cookie: cookie}) is None
    assert old.page(old.new_page(session), "another") is None


def test_a_taken_port_and_a_foreign_address_are_told():
    taken = listen("127.0.0.1", 0)
    with taken, pytest.raises(ExlcapError, match=r"cannot listen on 127\.0\.0\.1"):
        listen("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ExlcapError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", None)
