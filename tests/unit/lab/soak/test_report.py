"""docs/reliability.md and its plots."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from lab.soak import command, plots, report, results
from lab.soak.results import Verdict, Workload
from tests.unit.lab.soak.test_results import RESULT

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - it is our own


def test_the_report_is_what_the_results_render_to() -> None:
    for name, text in report.render(results.read(command.RESULTS)).items():
        assert (command.DOCS / name).read_text() == text, "run `lab soak --report-only`"


def test_no_result_gives_a_report_without_figures() -> None:
    assert list(report.render([])) == [report.DOCUMENT]
    assert "No cycle is on record." in report.render([])[report.DOCUMENT]


def test_a_fault_has_a_row_of_its_times_and_a_plot_of_its_role() -> None:
    slower = replace(RESULT, cycle=3, serving=3.5, full_strength=40.25)
    files = report.render([RESULT, slower])

    assert (
        "| rabbitmq | kill one | 2 | 2.5, 3.5, 3.5 | 30.2, 40.2, 40.2 |" in files["reliability.md"]
    )
    assert "(reliability/rabbitmq.svg)" in files["reliability.md"]
    picture = parsed(files["reliability/rabbitmq.svg"])
    assert len(picture.findall(f"{SVG}circle")) == 2 + 2 * 2  # a legend, and a dot for each time
    assert "No cycle lost anything, and none was stuck." in files["reliability.md"]


def test_what_was_lost_or_stuck_is_named_and_has_no_times() -> None:
    lost = replace(
        RESULT,
        cycle=4,
        verdict=Verdict.LOST,
        workloads={"messages": Workload(acknowledged=10, lost=3)},
        detail="3 messages lost, the first: [1, 2, 3]",
    )
    text = report.render([RESULT, lost, replace(lost, cycle=5)])["reliability.md"]

    assert "| messages | 320 | 2 | 3 |" in text
    assert "| 1 | 4 | rabbitmq | kill one | lost | abc1234 | 3 messages lost" in text
    assert "| rabbitmq | kill one | 1 | 1.5, 1.5, 1.5 |" in text


def test_an_interrupted_cycle_is_counted_and_nothing_else() -> None:
    gone = replace(RESULT, verdict=Verdict.INTERRUPTED, serving=None, workloads={})
    text = report.render([gone, RESULT])["reliability.md"]

    assert "| rabbitmq | 20 | 1 | 0 | 0 | 1 |" in text
    assert "| messages | 300 | 2 | 0 |" in text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "none"),
        ([2.0], "2.0, 2.0, 2.0"),
        ([float(number) for number in range(1, 11)], "5.5, 9.0, 10.0"),
    ],
)
def test_quantiles_are_median_ninth_tenth_and_most(values: list[float], text: str) -> None:
    assert report.quantiles(values) == text


@pytest.mark.parametrize(("most", "end"), [(0.3, 1), (1.5, 2), (37, 50), (100, 100), (101, 200)])
def test_an_axis_ends_at_a_round_value(most: float, end: float) -> None:
    assert plots.axis_end(most) == end


def test_a_title_is_escaped() -> None:
    picture = parsed(plots.strips("a < b", {"x": {"y & z": [1.0]}}))

    assert picture.findtext(f"{SVG}title") == "a < b"
