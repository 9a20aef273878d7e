"""The status page in a browser, before a stand-in for the daemon: looks, words, search, safety."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.support.browser import Browser
from tests.support.page_audit import BESIDE, CONTRAST, CUT, LANDMARKS, NAMED, OUTSIDE, WIDER
from tests.support.processes import wait_until
from tests.support.status_api import TOKEN, StatusApi
from tests.support.status_data import HOSTILE, acts, stamp

pytestmark = pytest.mark.long

LOOKS = {
    "light": (False, (1280, 900)),
    "dark": (True, (1280, 900)),
    "narrow": (False, (360, 760)),
    "narrow-dark": (True, (320, 760)),
}


@pytest.fixture
def api() -> Iterator[StatusApi]:
    with StatusApi() as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path, size=(1280, 900)) as running:
        yield running


def faults(browser: Browser) -> list[str]:
    """What the console holds, but for answers that are meant to be refusals."""
    return [line for line in browser.console() if "responded with a status of 401" not in line]


def shown(browser: Browser) -> str:
    """What is read, each space as one."""
    return " ".join(browser.text().split())


def wait_for(browser: Browser, text: str) -> None:
    wait_until(lambda: text in shown(browser), f"{text!r} is shown", 40)


def click(browser: Browser, word: str) -> None:
    """The button, link or label of that text that can be seen."""
    for each in browser.driver.find_elements(By.CSS_SELECTOR, "button, a, label"):
        if each.text == word and each.is_displayed():
            each.click()
            return
    raise AssertionError(f"there is no {word!r} to click")


def field(browser: Browser, name: str) -> WebElement:
    return browser.driver.find_element(By.ID, name)


def signed_in(browser: Browser, api: StatusApi, where: str = "#/") -> None:
    """The page, with the token that an earlier view was given."""
    browser.get(api.url)
    browser.run(f"sessionStorage.setItem('katabridge.token', {json.dumps(TOKEN)})")
    go(browser, where)
    browser.driver.refresh()
    wait_until(lambda: bool(browser.run("return document.querySelector('main h1')")), "a view")


def go(browser: Browser, where: str) -> None:
    browser.run(f"location.hash = {json.dumps(where)}")


def hash_of(browser: Browser) -> str:
    return str(browser.run("return location.hash"))


def at(record: dict[str, Any]) -> float:
    return datetime.fromisoformat(record["time"]).timestamp()


def case_of(api: StatusApi, outcome: str = "detect") -> str:
    return str(next(each["case"] for each in api.records if each["outcome"] == outcome))


# -- looks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("look", LOOKS)
def test_each_view_fits_can_be_read_and_breaks_no_policy(
    tmp_path: Path, api: StatusApi, look: str
) -> None:
    dark, size = LOOKS[look]
    api.scene = "away"
    acted = acted_on(api)["case"]
    views = {
        "overview": ("#/", "Spool on disk"),
        "day": ("#/?span=day", "Share was away"),
        "history": ("#/history", "50 cases so far"),
        "nothing": ("#/history?name=no-such-name", "No case fits"),
        "whole": ("#/history?user_is=olga", "the whole name"),
        "between": ("#/history?since=1&until=9999999999", "50 cases so far"),
        "case": (f"#/case/{case_of(api)}", "Known verdict"),
        "acted": (f"#/case/{acted}", "What was done since"),
        "absent": ("#/case/0000000000000000", "holds no record"),
    }
    with Browser(tmp_path, dark=dark, size=size) as browser:
        signed_in(browser, api)
        for name, (where, text) in views.items():
            go(browser, where)
            wait_for(browser, text)
            held(browser, tmp_path / f"{name}-{look}.png")
        for scene, program in (("trouble", "watch"), ("bypass", "icapd"), ("empty", "icapd")):
            api.scene, api.program = scene, program
            browser.driver.refresh()
            go(browser, "#/")
            wait_for(browser, "Central Nodes")
            held(browser, tmp_path / f"{scene}-{look}.png")
        ground = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(14, 19, 26)" if dark else "rgb(238, 241, 245)")


def held(browser: Browser, picture: Path) -> None:
    """Nothing is too wide, outside its card, cut off, beside its label or too faint, and the
    console is empty.
    """
    browser.screenshot(picture)
    assert browser.run(WIDER) == []
    assert browser.run(CUT) == []
    assert browser.run(OUTSIDE) == []
    assert browser.run(BESIDE) == []
    contrast = browser.run(CONTRAST)
    assert contrast["texts"] > 15
    assert contrast["faults"] == []
    assert faults(browser) == []


def test_a_colour_that_is_too_faint_is_found(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api)
    wait_for(browser, "Central Nodes")
    browser.run("document.documentElement.style.setProperty('--soft', '#a0a8b4')")
    assert any("< 4.5" in fault for fault in browser.run(CONTRAST)["faults"])


def test_colours_follow_the_switch_and_are_kept(api: StatusApi, browser: Browser) -> None:
    theme = "return document.documentElement.dataset.theme"
    browser.get(api.url)
    assert browser.run(theme) == "light"
    for choice, looks in (("dark", "dark"), ("light", "light"), ("dark", "dark")):
        Select(field(browser, "theme")).select_by_visible_text(choice)
        assert browser.run(theme) == looks
    browser.driver.refresh()
    assert browser.run(theme) == "dark"
    assert browser.run("return document.getElementById('theme').value") == "dark"


def test_print_has_what_is_read_and_no_controls(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api, "#/history")
    wait_for(browser, "50 cases so far")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert "not detected" in shown(browser)
    for control in (".filters", "nav", ".tools", ".more"):
        assert not browser.driver.find_element(By.CSS_SELECTOR, control).is_displayed()


@pytest.mark.parametrize("still", [False, True])
def test_nothing_moves_for_those_who_asked_for_that(
    tmp_path: Path, api: StatusApi, still: bool
) -> None:
    with Browser(tmp_path, still=still) as browser:
        browser.get(api.url)
        length = "return getComputedStyle(document.querySelector('main')).transitionDuration"
        assert (browser.run(length) == "0s") is still


def test_a_proxy_that_is_refused_is_named_with_why(api: StatusApi, browser: Browser) -> None:
    browser.get(api.url)
    words = "refused 4,812 times, last 40 s ago (404): there is no service 'respmod\\u202e<b>' here"
    wait_for(browser, words)
    assert "Let the proxy ask for one of the services of this page." in shown(browser)
    assert faults(browser) == []


# -- keyboard and readers --------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["#/", "#/history", "case"])
def test_everything_that_can_be_used_has_a_name(
    api: StatusApi, browser: Browser, where: str
) -> None:
    signed_in(browser, api, f"#/case/{case_of(api)}" if where == "case" else where)
    wait_for(browser, {"#/": "Spool", "case": "Known verdict"}.get(where, "50 cases"))
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found: dict[str, list[str]] = {}
    for node in nodes:
        if not node.get("ignored"):
            name = str(node.get("name", {}).get("value", ""))
            found.setdefault(str(node.get("role", {}).get("value")), []).append(name)
    assert set(found) >= LANDMARKS
    nameless = {role: names for role, names in found.items() if role in NAMED and "" in names}
    assert nameless == {}
    levels = "return [...document.querySelectorAll('h1')].filter((e) => e.checkVisibility()).length"
    assert browser.run(levels) == 1
    assert browser.run("return document.querySelectorAll('[aria-live], [role=alert]').length") == 0
    assert browser.run("return document.querySelectorAll('[role=status]').length") == 1


def test_the_keyboard_reaches_all_and_is_seen(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api)
    wait_for(browser, "Central Nodes")
    reached = []
    browser.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    for _ in range(14):
        one = browser.driver.switch_to.active_element
        assert browser.run("return getComputedStyle(document.activeElement).outlineStyle") != "none"
        reached.append(str(one.get_attribute("aria-labelledby") or one.text or one.tag_name))
        one.send_keys(Keys.TAB)
    assert reached[:3] == ["To the content", "Overview", "History"]
    assert {"hour", "day", "chart-requests", "chart-outcomes", "chart-spool"} <= set(reached)


def test_arrow_keys_read_single_moments_of_all_charts(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api)
    wait_for(browser, "Spool")
    chart = browser.driver.find_element(By.CSS_SELECTOR, "#figure-outcomes .plot")
    wait_until(lambda: ":" in str(chart.get_attribute("aria-valuetext")), "there are values")
    before = str(chart.get_attribute("aria-valuetext"))
    chart.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    after = str(chart.get_attribute("aria-valuetext"))
    assert after != before
    assert "not detected" in after
    assert chart.get_attribute("aria-valuenow") == "357"
    assert browser.run("return document.querySelectorAll('.hair line').length") == 6
    chart.send_keys(Keys.HOME)
    assert "not known" in str(chart.get_attribute("aria-valuetext"))
    chart.send_keys(Keys.ESCAPE)
    assert browser.run("return document.querySelectorAll('.hair line').length") == 0
    summary = browser.run("return document.getElementById('chart-outcomes-summary').textContent")
    assert "over the last hour: " in summary
    assert "Nothing is known of 14 % of the time." in summary


# -- what goes on ----------------------------------------------------------------------------------

STATES = {
    ("works", "icapd"): "✓ Works KATA takes files; running for 3 d 4 h.",
    ("away", "icapd"): "✕ KATA takes no files since ",
    ("away", "watch"): "Files stay in input, unless the policy says otherwise.",
    ("not_accepted", "icapd"): "✕ KATA has not accepted this system since ",
    ("bypass", "icapd"): "(2 h 13 min left) Everything passes UNJUDGED.",
    ("trouble", "watch"): "✕ Verdict store fails",
    ("dead", "icapd"): "✕ icapd does not respond",
    ("empty", "icapd"): "! KATA has not answered yet",
}


def test_the_first_line_says_whether_it_works_and_since_when_not(
    api: StatusApi, browser: Browser
) -> None:
    browser.get(api.url)
    for (api.scene, api.program), text in STATES.items():
        wait_for(browser, text)
    api.scene = "away"
    wait_for(browser, "(47 min)")
    assert str(browser.run("return document.title")).startswith("✕ KATA takes no files – ")
    said = str(browser.run("return document.getElementById('ear').textContent"))
    assert said.startswith("KATA takes no files since ")
    assert "min" not in said  # a reader would be told each minute
    assert "no route to host" in shown(browser)


def test_a_chart_has_gaps_where_nothing_is_known(api: StatusApi, browser: Browser) -> None:
    browser.get(api.url)
    path = "return document.querySelector('#figure-requests .plot .line')?.getAttribute('d')"
    wait_until(lambda: bool(browser.run(path)), "a line is drawn")
    assert str(browser.run(path)).count("M") == 2
    api.scene = "empty"
    browser.driver.refresh()
    wait_for(browser, "nothing known yet")
    assert "NaN" not in str(browser.run("return document.body.outerHTML"))


def test_outages_lie_below_the_charts_times(api: StatusApi, browser: Browser) -> None:
    api.scene = "away"
    browser.get(f"{api.url}#/?span=day")
    wait_for(browser, "KATA takes no files https://cn1.example since ")
    wait_for(browser, "3 times")
    ends = browser.run(
        "const end = (each) => Math.round(each.getBoundingClientRect().right);"
        "return [end(document.querySelector('.outages .bar.down')),"
        " end(document.querySelector('#figure-requests .base'))]"
    )
    assert ends[0] == pytest.approx(ends[1], abs=3)
    click(browser, "hour")
    wait_until(lambda: hash_of(browser) == "#/", "the hour is chosen")
    wait_for(browser, "more in the last 24 hours")


def test_an_update_leaves_what_is_there(api: StatusApi, browser: Browser) -> None:
    browser.get(api.url)
    wait_for(browser, "Central Nodes")
    marks = "document.querySelectorAll('.block, .rows li, .sums div, .chart, .headline')"
    browser.run(f"for (const each of {marks}) each.ours = true")
    asked = api.asked.count("/api/live")
    wait_until(lambda: api.asked.count("/api/live") > asked + 2, "it is asked again")
    assert browser.run(f"return [...{marks}].every((each) => each.ours)") is True


def test_a_tab_that_nobody_sees_asks_nothing(api: StatusApi, browser: Browser) -> None:
    browser.get(api.url)
    wait_for(browser, "Central Nodes")
    browser.run(
        "window.unseen = true;"
        "Object.defineProperty(document, 'hidden', { get: () => window.unseen });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    asked = len(api.asked)
    quiet = "return new Promise((done) => setTimeout(() => done(true), 4500))"
    assert browser.run(quiet) is True
    assert len(api.asked) <= asked + 1  # one may have been under way
    browser.run("window.unseen = false; document.dispatchEvent(new Event('visibilitychange'))")
    wait_until(lambda: len(api.asked) > asked + 1, "it is asked at once", 1.5)


def test_a_daemon_that_is_gone_is_said_and_comes_back(api: StatusApi, browser: Browser) -> None:
    browser.get(api.url)
    wait_for(browser, "Works")
    api.away = True
    wait_for(browser, "No answer from icapd since ")
    filters = "return getComputedStyle(document.querySelector('main')).filter"
    assert browser.run(filters) == "grayscale(1)"
    assert "Central Nodes" in shown(browser)
    api.away = False
    wait_for(browser, "KATA takes files")
    assert browser.run(filters) == "none"


# -- history ---------------------------------------------------------------------------------------


def test_the_token_is_asked_for_kept_by_the_tab_and_forgotten(
    api: StatusApi, browser: Browser
) -> None:
    browser.get(f"{api.url}#/history?outcome=detect")
    wait_for(browser, "The history names people.")
    assert not any("/api/history" in path for path in api.asked)
    field(browser, "token").send_keys("wrong-but-long-enough", Keys.ENTER)
    wait_for(browser, "This is not the token of the configuration.")
    field(browser, "token").send_keys(TOKEN, Keys.ENTER)
    wait_for(browser, "HEUR:Trojan")
    browser.driver.refresh()
    wait_for(browser, "HEUR:Trojan")
    click(browser, "Sign out")
    wait_for(browser, "The history names people.")
    assert "HEUR:Trojan" not in shown(browser)
    assert browser.run("return sessionStorage.length + document.cookie.length") == 0
    assert TOKEN not in "".join([*api.asked, browser.driver.current_url])
    assert TOKEN not in str(browser.run("return document.documentElement.outerHTML"))
    open_ = [path for path in api.asked if path.startswith(("/api/live", "/api/series"))]
    assert len([each for each in api.shown if not each]) == len(open_)  # sent only where needed
    assert faults(browser) == []


def test_without_a_configured_token_the_key_is_named(api: StatusApi, browser: Browser) -> None:
    api.token_set = False
    browser.get(f"{api.url}#/history")
    wait_for(browser, "No token is configured")
    assert "status: token: …" in shown(browser)
    assert "SIGHUP" in shown(browser)
    assert browser.driver.find_elements(By.ID, "token") == []


def test_a_search_is_in_the_address_and_can_be_shared(
    tmp_path: Path, api: StatusApi, browser: Browser
) -> None:
    signed_in(browser, api, "#/history")
    wait_for(browser, "50 cases so far")
    field(browser, "f-user").send_keys("anna")
    field(browser, "f-outcome").send_keys("not detected")
    click(browser, "24 h")
    wait_until(lambda: "within=24h" in hash_of(browser), "the time is chosen")
    assert hash_of(browser) == "#/history?user=anna&outcome=not_detected&within=24h"
    wait_for(browser, "That is all there is.")
    found = browser.driver.find_elements(By.CSS_SELECTOR, "tbody tr")
    wanted = [
        each
        for each in api.records
        if each["outcome"] == "not_detected" and "anna" in (each["context"].get("user") or "")
    ]
    assert len(found) == len(wanted) > 5
    last = [path for path in api.asked if "/api/history" in path][-1]
    assert "since=" in last
    address = browser.driver.current_url
    with Browser(tmp_path / "other") as other:
        other.get(address)
        wait_for(other, "The history names people.")
        field(other, "token").send_keys(TOKEN, Keys.ENTER)
        wait_for(other, f"{len(wanted)} cases")
        assert field(other, "f-user").get_attribute("value") == "anna"
    click(browser, "Clear")
    wait_until(lambda: hash_of(browser) == "#/history", "the filters are gone")


def typed(browser: Browser, name: str, value: str) -> None:
    """As if a person had typed it into a field for date and time, whatever the browser's order."""
    browser.run(
        f"const field = document.getElementById({json.dumps(name)});"
        f"field.value = {json.dumps(value)};"
        "field.dispatchEvent(new Event('input', { bubbles: true }))"
    )


def test_the_minute_that_a_search_ends_with_is_in_it(api: StatusApi, browser: Browser) -> None:
    minute = datetime.fromtimestamp(time.time() // 60 * 60 - 3600)
    begin = minute.timestamp()
    for record, second in zip(api.records, (60.0, 59.999, 0.0, -0.001), strict=False):
        record["time"] = stamp(begin + second)
    text = minute.strftime("%Y-%m-%dT%H:%M")
    signed_in(browser, api, "#/history")
    wait_for(browser, "50 cases so far")
    click(browser, "between")
    typed(browser, "f-since", text)
    typed(browser, "f-until", text)
    click(browser, "Search")
    wait_for(browser, "That is all there is.")
    assert hash_of(browser) == f"#/history?since={begin:.0f}&until={begin + 60:.0f}"
    cases = [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".col-case a")]
    wanted = [each["case"] for each in api.records if begin <= at(each) < begin + 60]
    assert cases == wanted
    assert {each["case"] for each in api.records[1:3]} <= set(wanted)
    before = hash_of(browser)
    browser.driver.refresh()
    wait_for(browser, "That is all there is.")
    for name in ("f-since", "f-until"):
        assert field(browser, name).get_attribute("value") == text
    asked = len(api.asked)
    click(browser, "Search")
    wait_until(lambda: "/api/history" in "".join(api.asked[asked:]), "it is searched again")
    assert hash_of(browser) == before
    go(browser, f"#/history?until={begin + 30:.0f}")  # a link of somebody's: a part of the minute
    wait_until(lambda: not field(browser, "f-since").get_attribute("value"), "it is shown")
    assert field(browser, "f-until").get_attribute("value") == text


def test_older_cases_come_by_cursor_and_back_shows_the_same(
    api: StatusApi, browser: Browser
) -> None:
    signed_in(browser, api, "#/history")
    wait_for(browser, "50 cases so far")
    click(browser, "Older")
    wait_for(browser, "100 cases so far")
    cases = [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".col-case a")]
    assert cases == [each["case"] for each in api.records[:100]]
    asked = len([path for path in api.asked if "history" in path])
    go(browser, f"#/case/{cases[60]}")
    wait_for(browser, "Known verdict")
    browser.driver.back()
    wait_for(browser, "100 cases so far")
    assert len([path for path in api.asked if "history" in path]) == asked


def test_a_search_that_takes_too_long_says_how_far_it_came(
    api: StatusApi, browser: Browser
) -> None:
    api.partly = 90
    signed_in(browser, api, "#/history?name=no-such-name")
    wait_for(browser, "No case found so far")
    assert "Searched back to " in shown(browser)
    click(browser, "Go on searching")
    wait_until(lambda: "cursor=90" in "".join(api.asked), "it goes on")
    click(browser, "Go on searching")
    wait_for(browser, "No case fits")


def test_a_case_number_alone_opens_its_page(api: StatusApi, browser: Browser) -> None:
    case = case_of(api)
    signed_in(browser, api, "#/history")
    wait_for(browser, "50 cases so far")
    field(browser, "f-case").send_keys(f" {case.upper()} ", Keys.ENTER)
    wait_until(lambda: hash_of(browser) == f"#/case/{case}", "its page is opened")


def test_hostile_texts_are_shown_and_do_nothing(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api, "#/history")
    wait_for(browser, "50 cases so far")
    titles = browser.run(
        "return [...document.querySelectorAll('.name')].map((each) => each.textContent)"
    )
    expected = [each["name"] or "(no name)" for each in api.records[:50]]
    assert titles == expected
    assert len(HOSTILE) <= len(set(titles))
    case = case_of(api)
    views = {"#/?span=day": "<b>share</b>", f"#/case/{case}": "Known verdict", "#/history": "50 c"}
    for where, text in views.items():
        go(browser, where)
        wait_for(browser, text)
        made = "return document.querySelectorAll('main :is(img, script, b b, b i, u, i)').length"
        assert browser.run(made) == 0
        assert "owned" not in str(browser.run("return document.title"))
        inline = "return [...document.querySelectorAll('*')].some((each) => [...each.attributes]"
        assert browser.run(f"{inline}.some(({{ name }}) => /^(on|style)/.test(name)))") is False
        hrefs = browser.run("return [...document.querySelectorAll('a')].map((a) => a.href)")
        assert all(href.startswith(api.url) for href in hrefs)
    assert faults(browser) == []


# -- a case ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["detect", "unavailable", "pending"])
def test_a_case_shows_every_key_of_its_record(
    api: StatusApi, browser: Browser, outcome: str
) -> None:
    record: dict[str, Any] = next(each for each in api.records if each["outcome"] == outcome)
    record["new_key"] = "a key that this page does not know"
    signed_in(browser, api, f"#/case/{record['case']}")
    wait_for(browser, "Service log")
    keys = browser.run("return [...document.querySelectorAll('.record dt')].map((dt) => dt.title)")
    assert set(keys) == set(record) - {"context"} | set(record["context"])
    text = " ".join(str(browser.run("return document.querySelector('main').innerText")).split())
    for value in (*record.values(), *record["context"].values()):
        if isinstance(value, str) and value not in (
            "detect",
            "not_detected",
            "pass",
            "block",
            "hold",
        ):
            assert " ".join(value.split()) in text
    assert ("late: found after the object had passed" in text) is (outcome == "detect")
    assert "icapd.judging case" in text


def test_a_log_that_is_gone_is_said_beside_what_the_others_have(
    api: StatusApi, browser: Browser
) -> None:
    why = "/var/log/katabridge/log-detects.log cannot be read: No such file or directory"
    api.missing = {"log-detects.log": why}
    signed_in(browser, api, f"#/case/{case_of(api)}")
    wait_for(browser, f"{why}. What it holds of this case is not shown.")
    assert "Who says so" in shown(browser)
    api.missing = {"log-history.log": why.replace("detects", "history")}
    browser.driver.refresh()
    wait_for(browser, f"{why.replace('detects', 'history')}. What it holds")
    assert "holds no record" not in shown(browser)
    assert faults(browser) == []


def acted_on(api: StatusApi) -> dict[str, Any]:
    """A case whose file people have dealt with since."""
    record: dict[str, Any] = [each for each in api.records if each["outcome"] == "detect"][-1]
    record["door"], record["context"] = "FOLDER", {"folder": "share", "path": "/srv/in/a.pdf"}
    api.records[:0] = acts(time.time(), record)
    return record


def test_what_people_did_with_a_file_in_quarantine_is_on_both_pages(
    api: StatusApi, browser: Browser
) -> None:
    record = acted_on(api)
    signed_in(browser, api, f"#/case/{record['case']}")
    wait_for(browser, "What was done since")
    assert "since then released from quarantine by <u>ann</u>" in shown(browser)
    entries = browser.driver.find_elements(By.CSS_SELECTOR, ".acts-since li")
    words = ("released from quarantine by", "judged anew, and left", "sent in vain to be")
    for entry, said in zip(entries, words, strict=True):
        assert said in " ".join(entry.text.split())
    assert "to /srv/out/<i>a</i>\\u202e.pdf" in entries[0].text
    newest = api.records[0]["case"]
    entries[0].find_element(By.LINK_TEXT, f"case {newest}").click()
    wait_until(lambda: hash_of(browser) == f"#/case/{newest}", "the new case is opened")
    wait_for(browser, "Case until then")
    anew = api.records[1]["case"]
    for before in (anew, record["case"]):
        click(browser, "case of this file until then")
        wait_for(browser, f"Case {before}")
        assert hash_of(browser) == f"#/case/{before}"
        wait_for(browser, "What was done since")
    assert faults(browser) == []


def test_a_file_that_was_exchanged_is_not_the_one_of_the_case(
    api: StatusApi, browser: Browser
) -> None:
    record = acted_on(api)
    api.records[0]["sha256"] = "0" * 64
    signed_in(browser, api, f"#/case/{record['case']}")
    wait_for(browser, "The file had other bytes by then than in this case.")
    assert "since then judged anew, and left in quarantine by <u>ann</u>" in shown(browser)


def test_a_known_verdict_is_changed_only_after_a_question(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api, f"#/case/{case_of(api)}")
    wait_for(browser, "Known verdict")
    posted = [path for path in api.asked if "/api/known" in path]
    click(browser, "Allow for")
    wait_for(browser, "These bytes are called clean, whatever KATA says: for 30 days")
    click(browser, "Leave it as it is")
    assert browser.driver.find_elements(By.TAG_NAME, "dialog") == []
    click(browser, "Forget")
    browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait_until(lambda: not browser.driver.find_elements(By.TAG_NAME, "dialog"), "it is closed")
    assert [path for path in api.asked if "/api/known" in path] == posted == []
    field(browser, "allow-for").send_keys("7 days")
    click(browser, "Allow for")
    click(browser, "Allow for 7 days")
    wait_for(browser, "a person's word")
    assert next(iter(api.verdicts.values()))["outcome"] == "not_detected"  # type: ignore[index]
    click(browser, "Forget")
    click(browser, "Forget the verdict")
    wait_for(browser, "None: when these bytes come again, KATA is asked.")
    assert list(api.verdicts.values()) == [None]
    assert faults(browser) == []


def test_a_verdict_store_that_fails_is_no_verdict_that_is_not_there(
    api: StatusApi, browser: Browser
) -> None:
    api.store_fault = "the verdict store redis://10.0.0.9/0 fails: connection refused"
    signed_in(browser, api, f"#/case/{case_of(api)}")
    wait_for(browser, f"Not known: {api.store_fault}.")
    assert "KATA is asked" not in shown(browser)
    click(browser, "Forget")
    click(browser, "Forget the verdict")
    wait_until(lambda: shown(browser).count(str(api.store_fault)) == 2, "it is refused", 40)
    api.store_fault = None
    click(browser, "Try again")
    wait_for(browser, "None: when these bytes come again, KATA is asked.")
    assert "Not known" not in shown(browser)


def test_a_case_leads_to_others_like_it(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api, f"#/case/{case_of(api)}")
    wait_for(browser, "Known verdict")
    click(browser, "cases with these bytes")
    wait_until(lambda: "hash=" in hash_of(browser), "the search is made")
    wait_for(browser, "case")
    record = next(each for each in api.records if each["outcome"] == "detect")
    assert hash_of(browser) == f"#/history?hash={record['sha256']}"
    assert field(browser, "f-hash").get_attribute("value") == record["sha256"]


def test_the_cases_of_a_user_are_not_those_of_longer_names(
    tmp_path: Path, api: StatusApi, browser: Browser
) -> None:
    names = ("ivan", "ivanova", "CORP\\ivan", "Ivan")
    folk = [each for each in api.records if each["door"] == "ICAP"][: len(names)]
    for record, name in zip(folk, names, strict=True):
        record["context"]["user"] = name
    signed_in(browser, api, f"#/case/{folk[0]['case']}")
    wait_for(browser, "Known verdict")
    click(browser, "cases of ivan")
    wait_for(browser, "2 cases")
    assert hash_of(browser) == "#/history?user_is=ivan"
    found = [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, ".col-case a")]
    assert found == [folk[0]["case"], folk[3]["case"]]
    assert field(browser, "f-user").get_attribute("value") == "ivan"
    click(browser, "24 h")
    wait_until(lambda: hash_of(browser) == "#/history?user_is=ivan&within=24h", "it stays the same")
    held(browser, tmp_path / "whole.png")
    click(browser, "the whole name")
    click(browser, "Search")
    wait_for(browser, "4 cases")
    assert hash_of(browser) == "#/history?user=ivan&within=24h"
    assert "the whole name" not in shown(browser)


def test_a_refusal_is_shown_as_a_sentence(api: StatusApi, browser: Browser) -> None:
    signed_in(browser, api, "#/case/nonsense")
    wait_for(browser, "'nonsense' is no case number")
    click(browser, "Try again")
    wait_for(browser, "'nonsense' is no case number")
