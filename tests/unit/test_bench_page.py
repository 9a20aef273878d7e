"""The benchmark's figures, and the page that is made of them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import chart, page, results, table
from tests.bench.load import Round
from tests.bench.results import Comparison, Result, percentile

MACHINE = {"measured": "2026-01-05", "processor": "Fast", "cores": "2", "uvloop": "0.23"}
SETTINGS = {"rounds": 3, "seconds": 1.5, "connections": 8}


def result(
    server: str, rate: float, cpu: float = 100, load_cpu: float = 10, work: str = "500 B & more"
) -> Result:
    return Result(work, server, [rate], 0.5, 2.0, cpu, load_cpu, {"200": 3, "204": 4}, 5)


def comparison(*found: Result) -> Comparison:
    return Comparison(MACHINE, SETTINGS, list(found))


@pytest.mark.parametrize(
    ("share", "value"), [(0, 1), (50, 2), (51, 3), (75, 3), (76, 4), (99, 4), (100, 4)]
)
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile([1, 2, 3, 4], share) == value


def test_a_percentile_of_nothing_is_0() -> None:
    assert percentile([], 99) == 0


def test_medians_of_rounds() -> None:
    rounds = [
        Round(seconds=2, cpu=0.2 * number, latencies=[0.001] * count, served=count)
        for number, count in ((1, 10), (3, 40), (2, 20))
    ]
    for each in rounds:
        each.statuses[204] = each.answers
    found = Result.of("w", "s", rounds, [0.01, 0.08, 0.08])
    assert found.rates == [5, 20, 10]
    assert found.rate == 10
    assert found.p50 == pytest.approx(1)
    assert found.cpu == pytest.approx(2000)
    assert found.load_cpu == pytest.approx(20_000)
    assert found.statuses == {"204": 70}


@pytest.mark.parametrize(
    ("ours", "echo", "cell"),
    [
        (result("icapd", 200), result("c-icap", 100), "2.00"),
        (result("icapd", 200, load_cpu=95), result("c-icap", 100), "≥2.00"),
        (result("icapd", 200), result("c-icap", 100, load_cpu=90), "≤2.00"),
        (result("icapd", 2800), result("c-icap", 2700), "≈1.04"),
        (result("icapd", 2600), result("c-icap", 1300), "2.00"),
    ],
)
def test_a_ratio_says_who_was_limited_by_the_load(ours: Result, echo: Result, cell: str) -> None:
    found = comparison(ours, echo, result(results.CEILING, 3000))
    head, row = table.ratios(found)
    assert row[head.index("c-icap = 1")] == cell


def test_what_was_not_measured_is_a_dash() -> None:
    head, row = table.ratios(comparison(result("icapd", 200)))
    assert [row[head.index(name)] for name in ("c-icap = 1", "by CPU", "pyicap = 1")] == ["-"] * 3
    assert row[head.index("icapd/s")] == "200"


def test_the_page_has_what_was_measured(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    found = comparison(result("icapd", 200, cpu=50), result("c-icap", 100), result("pyicap", 40))
    cost = {"name": "held", "title": "Bodies held", "what": "Many.", "measured": "2026-01-06"}
    results.save(file, comparison=results.to_plain(found))
    results.save(file, costs={"held": {**cost, "table": [["a", "b"], ["1", "2"]]}})
    text = page.render(results.load(file))
    row = "| 500 B & more | 2.00 | 2.00 | 5.00 | 200 | 100 | 40 | - | 2.00 ms | 2.00 ms |"
    assert row in text
    assert "| 500 B & more | icapd | 200 |" in text
    assert "3 × 200, 4 × 204" in text
    assert "Measured on 2026-01-05: 2 cores of Fast, uvloop 0.23." in text
    assert "### Bodies held\n\nMany.\n\n| a | b |\n| --- | --: |\n| 1 | 2 |" in text
    assert results.from_plain(results.load(file)["comparison"]) == found


def test_a_page_of_nothing_has_no_tables() -> None:
    assert "|" not in page.render({})


def test_a_damaged_file_of_results_is_named(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text("[]")
    with pytest.raises(TypeError, match=r"results\.json"):
        results.load(file)


def test_the_picture_has_a_bar_for_each_ratio() -> None:
    found = comparison(
        result("icapd", 200),
        result("c-icap", 100),
        result("pyicap", 40),
        result("icapd", 1, work="b"),
    )
    drawn = ElementTree.fromstring(page.draw(found))
    space = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in drawn.iter(f"{space}text")]
    assert {"500 B & more", "2.00", "0.40"} <= set(texts)
    assert "b" not in texts
    bars = [float(each.get("width", "")) for each in drawn.iter(f"{space}rect")][2:]
    assert bars[0] == pytest.approx(5 * bars[1], rel=0.01)


def test_bars_stay_inside_the_picture() -> None:
    text = chart.draw("t", ("a", "b"), [chart.Group("w", (0.1, 25.0))], "1")
    drawn = ElementTree.fromstring(text)
    width, height = (float(each) for each in drawn.get("viewBox", "").split()[2:])
    for each in drawn.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(each.get("x", "")) + float(each.get("width", "")) <= width
        assert float(each.get("y", "")) + float(each.get("height", "")) <= height
