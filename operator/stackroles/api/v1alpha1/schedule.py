"""When something is done again and again: a cron line and its time zone."""

from typing import Annotated

from pydantic import Field

_STEP = r"(/[1-9][0-9]?)?"


def _cron_field(value: str) -> str:
    """Return the pattern of one cron field: values, ranges, steps and lists of them."""
    item = rf"(\*|{value}(-{value})?){_STEP}"
    return rf"{item}(,{item})*"


_MINUTE = _cron_field(r"([0-5]?[0-9])")
_HOUR = _cron_field(r"(2[0-3]|[01]?[0-9])")
_DAY = _cron_field(r"(3[01]|[12][0-9]|0?[1-9])")
_MONTH = _cron_field(r"(1[0-2]|0?[1-9]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))")
_WEEKDAY = _cron_field(r"([0-6]|(?i:sun|mon|tue|wed|thu|fri|sat))")
# The standard cron line as the CronJob controller reads it: five fields, or a macro. Sunday is 0
# only (the API server refuses a CronJob with 7).
CRON = (
    r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|"
    rf"{_MINUTE} +{_HOUR} +{_DAY} +{_MONTH} +{_WEEKDAY})$"
)

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FEBRUARY = frozenset({2})
_WITHOUT_A_31ST = frozenset({2, 4, 6, 9, 11})


def _month(number: int) -> str:
    """Return the pattern of a month, as a number or by its name."""
    return f"{'0?' if number < 10 else ''}{number}|{_NAMES[number - 1]}"


def _steps(first: int, last: int, allowed: frozenset[int]) -> str:
    """Return the pattern of the steps with which a range of months holds only allowed ones.

    From 12 on, a step leaves the first month alone.
    """
    good = [n for n in range(1, 20) if allowed.issuperset(range(first, last + 1, n))]
    units = "".join(str(n) for n in good if n < 10)
    teens = "".join(str(n - 10) for n in good if n >= 10)
    return rf"/({f'[{units}]|' if units else ''}1[{teens}]|[2-9][0-9])"


def _only(allowed: frozenset[int]) -> str:
    """Return the pattern of a month field that holds none but allowed months, however written."""
    items = []
    for first in sorted(allowed):
        ends: dict[str, list[str]] = {}
        for last in range(first + 1, 13):
            ends.setdefault(_steps(first, last, allowed), []).append(_month(last))
        ranges = [rf"-({'|'.join(months)}){steps}" for steps, months in ends.items()]
        alone = rf"-({_month(first)}){_STEP}"
        more = "|".join([alone, *ranges, _steps(first, 12, allowed)])
        items.append(rf"({_month(first)})({more})?")
    return _each("|".join(items))


def _each(item: str) -> str:
    """Return the pattern of a list of which each item is as given."""
    return rf"(({item})(,|\b))+"


# Lines of CRON that are never due: their days are in none of their months, and the weekday is free,
# which a `*` within its list makes it. With a weekday that is given, either would do.
NEVER_DUE = (
    rf"(?i)^[^ ]+ +[^ ]+ +({_each(rf'31(-31)?{_STEP}')} +{_only(_WITHOUT_A_31ST)}|"
    rf"{_each(rf'(31(-31)?|30(-3[01])?){_STEP}')} +{_only(_FEBRUARY)})"
    r" +([^ ]+,)?\*(/1)?(,[^ ]+)?$"
)
Schedule = Annotated[
    str,
    Field(
        max_length=128,
        pattern=CRON,
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": f"!self.matches(r'{NEVER_DUE}')",
                    "message": "this is never due: none of the months has one of the days; "
                    "correct the day or the month",
                }
            ]
        },
    ),
]
TimeZone = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")]
