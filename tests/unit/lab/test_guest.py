from lab.guest import SAID

CONSOLE = """\
[    3.508191] Run /init as init process
GUEST boots=1\r
GUEST address=192.168.77.132\r
GUEST instance-id=95e5a03b-af4f-4e9d-b133-baac33740311\r
GUEST uptime=7\r
GUEST uptime=17\r
"""


def test_the_console_tells_who_the_guest_is_and_the_last_uptime() -> None:
    words = dict(SAID.findall(CONSOLE))
    assert words["address"] == "192.168.77.132"
    assert words["instance-id"] == "95e5a03b-af4f-4e9d-b133-baac33740311"
    assert words["uptime"] == "17"
