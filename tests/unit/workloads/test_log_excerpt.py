from stackroles.workloads.log_excerpt import EXCERPT_LENGTH, summarize

OSLO = "2026-11-22 17:05:12.766 6 ERROR neutron "
LOG = f"""y", line 56, in publish
{OSLO}    self.force_reraise()
{OSLO}  File "/usr/lib/python3/dist-packages/neutron_lib/callbacks/manager.py", line 164
{OSLO}    raise exceptions.CallbackFailure(errors=errors)
{OSLO}neutron_lib.callbacks.exceptions.CallbackFailure: No such file: 'ovsdb-client'
{OSLO}
unable to load app 0 (mountpoint='') (callable not found or import error)
*** no app loaded. GAME OVER ***
OOPS ! failed loading app in worker 1 (pid 6)
Sun Nov 22 17:05:15 2026 - need-app requested, destroying the instance...
SIGINT/SIGTERM received...killing workers...
goodbye to uWSGI.
"""


def test_what_was_raised_is_left_of_a_traceback() -> None:
    excerpt = summarize(LOG)
    assert excerpt.endswith("CallbackFailure: No such file: 'ovsdb-client'")
    assert "force_reraise" not in excerpt
    assert "GAME OVER" not in excerpt
    assert "2026-11-22" not in excerpt


def test_request_of_a_log_line_is_cut() -> None:
    line = "2026-11-22 17:05:12.766 6 CRITICAL nova [None req-9d6d - - - -] Unhandled error: boom"
    assert summarize(line) == "Unhandled error: boom"


def test_plain_lines_stay() -> None:
    assert summarize("ERROR 1045: Access denied\n") == "ERROR 1045: Access denied"


def test_only_frames_are_better_than_nothing() -> None:
    assert summarize("  File x, line 1\n    y()\n") == "File x, line 1\n    y()"


def test_length_is_bounded_and_the_end_stays() -> None:
    excerpt = summarize("x" * 5000 + " the reason")
    assert excerpt.endswith("the reason")
    assert len(excerpt) <= EXCERPT_LENGTH + 4
