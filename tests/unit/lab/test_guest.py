from datetime import UTC, datetime

from lab.guest import FIELDS, _time

CONSOLE = """\
[    3.508191] Run /init as init process
GUEST boots=1\r
GUEST address=192.168.77.132\r
GUEST instance-id=95e5a03b-af4f-4e9d-b133-baac33740311\r
GUEST uptime=7\r
GUEST uptime=17\r
"""


def test_the_console_shows_who_the_guest_is_and_the_last_uptime() -> None:
    fields = dict(FIELDS.findall(CONSOLE))
    assert fields["address"] == "192.168.77.132"
    assert fields["instance-id"] == "95e5a03b-af4f-4e9d-b133-baac33740311"
    assert fields["uptime"] == "17"


def test_novas_time_is_utc() -> None:
    assert _time("2026-01-01T12:06:41.000000") == datetime(2026, 1, 1, 12, 6, 41, tzinfo=UTC)
    assert _time(None) is None
