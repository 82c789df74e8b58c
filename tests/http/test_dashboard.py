"""Test of the dashboard in a real browser, headless: loads, updates, estimates and defragments by keyboard alone, shows what came of it; with 1 and with
16 workers; light and dark; after the server or the reader was away; what its lines say, read from their pixels.

    test_dashboard.py SNUGD [--screenshot FILE.png]

Needs Debian's chromium, chromium-driver and python3-selenium; without them it is skipped.
"""

import json
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from cases import run_tests
from waits import HANG_S, times_as_busy
from server_process import Server, free_port

SKIPPED = 77  # what meson takes for "skipped"
PROGRAM = sys.argv[1]
try:
    from selenium import webdriver
    from selenium.common.exceptions import TimeoutException
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    MISSING = [path for path in ("/usr/bin/chromium", "/usr/bin/chromedriver") if not os.path.exists(path)]
except ImportError:
    MISSING = ["python3-selenium"]


# Where something of a line's colour is drawn, in pixels from the left.
COLUMNS_OF_COLOUR = """
    const canvas = document.getElementById(arguments[0]), {width, height} = canvas, copy = document.createElement("canvas");
    Object.assign(copy, {width, height});
    const pen = copy.getContext("2d", {willReadFrequently: true});
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(arguments[1]).trim();
    pen.fillRect(0, 0, 1, 1);
    const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data, columns = [];
    pen.clearRect(0, 0, 1, 1);
    pen.drawImage(canvas, 0, 0);
    const pixels = pen.getImageData(0, 0, width, height).data;
    for (let x = 0; x < width; x++)
        for (let y = 0; y < height; y++) {
            const at = 4 * (y * width + x);
            if (pixels[at + 3] > 128 && Math.abs(pixels[at] - red) + Math.abs(pixels[at + 1] - green) + Math.abs(pixels[at + 2] - blue) < 60) {
                columns.push(x);
                break;
            }
        }
    return columns;
"""


def send(stream, commands):
    """Sends, and reads the answers."""
    stream.sendall(commands + b"mn\r\n")
    answer = b""
    while not answer.endswith(b"MN\r\n"):
        answer = answer[-10:] + stream.recv(65536)


class Browser:
    """One for all tests, a tab for each; another one after a test that failed."""

    def __init__(self):
        self.driver = None

    def new_tab(self):
        if self.driver is None:
            options = Options()
            options.binary_location = "/usr/bin/chromium"
            for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
                options.add_argument(argument)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
            self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        else:
            old = self.driver.current_window_handle
            self.driver.switch_to.new_window("tab")
            new = self.driver.current_window_handle
            self.driver.switch_to.window(old)
            self.driver.close()
            self.driver.switch_to.window(new)
        return self.driver

    def end(self):
        if self.driver is not None:
            self.driver.quit()
        self.driver = None


BROWSER = Browser()


class Page:
    """with Page(threads) as page: a server with holes in its memory, and a browser that shows it. At the end the browser's console must be empty but for
    what `expected` says."""

    def __init__(self, threads, *arguments, size=(1280, 1500), memory="64", expected=None):
        self.address = f"127.0.0.1:{free_port()}"
        self.server = Server(PROGRAM, ["-m", memory, "-t", str(threads), "--http", self.address, "--defrag", "off", *arguments])
        self.size = size
        self.expected = expected

    def __enter__(self):
        self.server.__enter__()
        try:
            self.make_holes()
            self.browser = BROWSER.new_tab()
            self.resize(*self.size)
            self.browser.get(f"http://{self.address}/")
            self.until(lambda: self.text("state") == "live")
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *what):
        try:
            if kind is None:
                self.expect_no_errors()
                self.browser.get("about:blank")
            else:
                BROWSER.end()
        except BaseException:
            BROWSER.end()
            raise
        finally:
            self.server.__exit__(kind, *what)

    def resize(self, width, height):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def make_holes(self):
        source = random.Random(7)
        sizes = [60, 120, 300, 700, 3000]
        lines = []
        for i in range(20000):
            size = source.choice(sizes)
            lines.append(b"set k%d 0 0 %d noreply\r\n%s\r\n" % (i, size, b"v" * size))
        lines += [b"delete k%d noreply\r\n" % i for i in range(20000) if source.random() < 0.6]
        self.send(b"".join(lines))

    def script(self, text):
        return self.browser.execute_script("return " + text)

    def text(self, identifier):
        return self.script(f"document.getElementById('{identifier}').textContent")

    def until(self, condition, seconds=HANG_S):
        WebDriverWait(self.browser, seconds, poll_frequency=0.05).until(lambda _: condition())

    def figure(self, name):
        return self.script(f"[...document.querySelectorAll('#figures dt')].find(t => t.textContent === '{name}').nextSibling.textContent")

    def line_columns(self, canvas, colour="--accent"):
        return self.browser.execute_script(COLUMNS_OF_COLOUR, canvas, colour)

    def gap_seconds(self, canvas, colour="--accent"):
        """The widest stretch without a line between two ends of it, by the time that the canvas is wide: a minute, or all since the server's start."""
        columns = self.line_columns(canvas, colour)
        width = self.script(f"document.getElementById('{canvas}').width - MARGIN.left - MARGIN.right")
        return max(b - a for a, b in zip(columns, columns[1:])) * self.script("spanMs() / 1000") / width

    def looks(self):
        return self.script("points.length")

    def until_looks(self, count):
        start = self.looks()
        self.until(lambda: self.looks() >= start + count)

    def set_hidden(self, hidden):
        self.browser.execute_script(f"Object.defineProperty(document, 'hidden', {{get: () => {str(hidden).lower()}, configurable: true}})")
        self.browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")

    def send(self, commands):
        with self.server.connect() as stream:
            send(stream, commands)

    def ask_for_nothing(self, count):
        """So many gets, and waits until they were seen: by what is remembered of all looks, for what a look shows is gone with the next one."""
        looks = self.looks()
        self.send(b"get none\r\n" * count)
        self.until(lambda: self.script(f"points.slice({looks}).some(p => p.hitRate === 0 && hitRateText(p) === '0.0 %')"))

    def press(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def tab_to(self, identifier):
        for _ in range(40):
            if self.focused() == identifier:
                return
            self.press(Keys.TAB)
        raise AssertionError(f"no way to {identifier} by the keyboard")

    def expect_no_errors(self):
        messages = [entry["message"] for entry in self.browser.get_log("browser")]
        unexpected = [message for message in messages if self.expected is None or not re.search(self.expected, message)]
        assert not unexpected, unexpected

    def focused(self):
        return self.script("document.activeElement.id || document.activeElement.textContent.trim()")

    def outcome(self, begins):
        try:
            self.until(lambda: self.text("outcome").startswith(begins))
        except TimeoutException:
            raise AssertionError(f"the outcome is {self.text('outcome')!r}, not {begins!r}") from None

    def request_by_keyboard(self, button, begins):
        self.tab_to(button)
        self.press(Keys.ENTER)
        self.outcome(begins)

    def confirm(self, note, key="confirm-yes"):
        """Answers the question, whose note says this, by keyboard."""
        self.until(lambda: self.script("document.getElementById('confirm').open"))
        assert note in self.text("confirm-note"), self.text("confirm-note")
        self.tab_to(key)
        self.press(Keys.ENTER)

    def done(self):
        """What the last request said of itself, by the row's name."""
        lines = self.script("[...document.querySelectorAll('#result tr')].map(r => [...r.cells].map(c => c.textContent))")
        return {name: cells for name, *cells in lines}


def bytes_of(text):
    number, unit = text.split(" ")
    return float(number) * 1024 ** ["B", "KiB", "MiB", "GiB"].index(unit)


def test_by_keyboard_alone():
    for threads in (1, 16):
        with Page(threads) as page:
            assert page.script("document.querySelectorAll('#maps canvas').length") == threads
            label = page.script("document.querySelector('#maps canvas').getAttribute('aria-label')")
            assert re.fullmatch(r"\d+ of \d+ pages in use(, one in 2 shown)?", label), label
            assert page.script("document.querySelectorAll('#latency tr').length") == threads
            page.request_by_keyboard("estimate", "Estimate of all that can be gained, without a budget")
            estimate, done = page.done()["reclaimed"]
            assert bytes_of(estimate) > 100000 and done == "-", estimate
            page.request_by_keyboard("Defragment", "ok")
            estimate, done = map(bytes_of, page.done()["reclaimed"])
            assert 0.9 * estimate < done < 1.1 * estimate, page.done()
            page.until(lambda: "defragment, asked for" in page.text("reports"))
            assert page.focused() == "Defragment", "the focus is lost"


def test_tables_that_are_empty_say_so_and_schedules_are_shown():
    with Page(2) as page:
        assert "No schedules" in page.text("schedules") and "Nothing was estimated" in page.text("result"), page.text("schedules")
        page.until(lambda: re.search(r"resident memory[0-9.]+ MiB", page.text("figures")))
        assert re.search(r"stores refused0 for memory, 0 too large", page.text("figures")), page.text("figures")
        begin, end = (time.strftime("%H:00", time.localtime(time.time() + hours * 3600)) for hours in (6, 8))  # not now: it would run
        page.browser.execute_script(f"fetch('/api/schedule?window={begin}-{end}&target=5', {{method: 'POST', headers: {{'X-Snug-Request': '1'}}}})")
        page.until(lambda: page.text("schedules").startswith(f"{begin}-{end}5 %00 Bnever"))
        page.send(b"get more\r\n" * 1000)
        page.until(lambda: page.script("[...document.querySelectorAll('#latency tr')].some(r => Number(r.cells[2].textContent.replace(',', '')) > 0)"))
        assert all(re.fullmatch(r"\d+\.\d %", busy) for busy in page.script("[...document.querySelectorAll('#latency tr')].map(r => r.cells[1].textContent)"))


def test_what_is_wrong_is_said():
    # A defragmentation would gain much, and nobody does it; what else is wrong is the machine's.
    for cleanup in ("off", "on"):
        with Page(1, "--defrag", cleanup) as page:
            rows = page.script("[...document.querySelectorAll('#findings tr')].map(r => [...r.cells].map(c => c.textContent))")
            said = [what for what, *advice in rows if "background cleanup is off" in what and "--defrag on" in advice[0]]
            assert len(said) == (cleanup == "off"), rows
            assert all(len(row) == 2 for row in rows) or re.fullmatch(r"Nothing: 0 of \d+ checks found something\.", rows[0][0]), rows


def test_sizes_and_times_are_as_people_write_them():
    with Page(1) as page:
        sizes = page.script("['7', '64m', '1.5g', '64MiB', '2Tb', '0.5k'].map(bytesOf)")
        assert sizes == [7, 64 << 20, 3 << 29, 64 << 20, 2 << 40, 512], sizes
        valid = page.script("['7', '64m', '1.5g', '64MiB', '2Tb', 'x', '1.', '-1', '64mx'].map(t => { const i = document.getElementById('need'); i.value = t; return i.checkValidity(); })")
        assert valid == [True] * 5 + [False] * 4, valid
        page.browser.execute_script("document.getElementById('need').value = ''")
        times = page.script("[59, 61, 3700, 90000].map(uptimeText)")
        assert times == ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"], times
        assert re.match(r"\d+\.\d+\.\d+, up \d+ s", page.text("version")) and "1.6.45" not in page.text("version"), page.text("version")


def test_updates_and_budgets():
    with Page(2, expected=r"/api/emergency\?bytes=900m .* 400") as page:
        assert "one in" not in page.text("maps"), page.text("maps")
        figures = page.text("figures")
        page.send(b"set more 0 0 3 noreply\r\nabc\r\n" + b"get more\r\n" * 1000)
        page.until(lambda: page.text("figures") != figures)
        page.tab_to("ms")
        page.press("x")
        page.tab_to("Defragment")
        page.press(Keys.ENTER)
        time.sleep(0.3)
        assert page.text("outcome") == "", "a budget that is no number was taken"
        page.browser.find_element("id", "ms").clear()
        page.browser.find_element("id", "bytes").send_keys("1")
        page.browser.find_element("id", "estimate").click()
        page.outcome("Estimate")
        whole = page.done()
        assert whole["asked for"] == ["all that can be gained", "-"], whole
        page.request_by_keyboard("Defragment", "ok")
        assert "budget" in page.text("outcome"), page.text("outcome")
        done = page.done()
        assert done["asked for"] == ["all that can be gained", "copying at most 1 on each worker"], done
        assert done["reclaimed"][0] == whole["reclaimed"][0] and bytes_of(done["reclaimed"][1]) < bytes_of(done["reclaimed"][0]) / 10, done
        described = page.script("document.getElementById(document.getElementById('estimate').getAttribute('aria-describedby')).textContent")
        assert "whatever budget" in described, described
        page.browser.find_element("id", "need").send_keys("900m", Keys.ENTER)
        page.confirm("it will be refused")
        page.outcome("Not done")


def test_what_loses_items_is_asked_first():
    with Page(2) as page:
        items = page.script("points.at(-1).payload")
        page.browser.find_element("id", "need").send_keys("2m")
        page.browser.find_element("id", "evict").click()
        # Not wanted: by the button, and by Escape.
        page.tab_to("Emergency")
        page.press(Keys.ENTER)
        page.until(lambda: page.focused() == "confirm-no")
        lines = page.script("Object.fromEntries([...document.querySelectorAll('#confirm-lines tr')].map(r => [...r.cells].map(c => c.textContent)))")
        assert lines["asked for"] == "2.00 MiB" and bytes_of(lines["free already"]) + bytes_of(lines["by compacting"]) > 0, lines
        assert " of " in lines["by evicting"], lines
        page.press(Keys.ENTER)
        page.outcome("Nothing was changed")
        assert page.focused() == "Emergency", page.focused()
        page.press(Keys.ENTER)
        page.until(lambda: page.focused() == "confirm-no")
        page.press(Keys.ESCAPE)
        page.outcome("Nothing was changed")
        page.until_looks(2)
        assert page.script("points.at(-1).payload") == items and "emergency" not in page.text("reports")
        page.press(Keys.ENTER)
        page.confirm("")
        page.outcome("ok")
        done = page.done()
        assert done["asked for"][1] == "2m for the machine, evicting if needed" and bytes_of(done["returned to the machine"][1]) >= 2 << 20, done
        page.browser.find_element("id", "wanted").send_keys("4m", Keys.ENTER)
        page.confirm("of items will be lost")
        page.outcome("The limit is to be 4.00 MiB")
        page.browser.find_element("id", "wanted").clear()
        page.browser.find_element("id", "wanted").send_keys("64m", Keys.ENTER)
        page.confirm("No item will be lost")
        page.outcome("The limit is to be 64.0 MiB")


def test_seconds_without_gets_have_no_hit_rate():
    with Page(1) as page:
        page.until_looks(2)
        page.script("points.splice(0, points.length - 1)")  # the seconds of the stores: beside so many requests 10 gets draw their line at the bottom
        page.until_looks(3)
        assert page.figure("hit rate") == "no gets" and "Hit rate: no gets" in page.text("load-text"), page.text("load-text")
        assert page.line_columns("load") == [] and len(page.line_columns("frag")) > 10
        for wait in (3, 0):
            page.ask_for_nothing(10)
            page.until_looks(wait)
        assert 2 < (gap := page.gap_seconds("load")) < 10 * times_as_busy(), gap
        assert page.gap_seconds("frag") < 0.5


def test_nothing_is_drawn_or_counted_while_hidden():
    with Page(1) as page:
        page.until_looks(4)
        page.set_hidden(True)
        page.until(lambda: page.script("!isLooking"))
        looks = page.looks()
        page.send(b"get none\r\n" * 20000)
        time.sleep(6)
        assert page.looks() == looks, "it asks for nobody"
        page.set_hidden(False)
        page.until_looks(1)
        assert page.figure("requests a second") == "not yet known" or page.looks() > looks + 1
        page.until_looks(3)
        assert 5.5 < (gap := page.gap_seconds("frag")) < 9 * times_as_busy(), gap
        assert page.figure("hit rate") == "no gets"
        assert page.script(f"Math.max(...points.slice({looks}).map(p => p.rate))") < 100, "requests from before are counted into a second"
        page.ask_for_nothing(3000)
        assert 1000 / times_as_busy() < page.script(f"Math.max(...points.slice({looks}).map(p => p.rate))") < 6000


def test_what_was_before_the_page_is_on_it():
    with Page(2) as page:
        page.send(b"get none\r\n" * 2000)
        page.until_looks(4)
        page.browser.refresh()
        page.until(lambda: page.text("state") == "live")
        assert page.looks() >= 4, "a page that was loaded anew begins with nothing"
        assert page.script("points.slice(0, -1).some(p => p.gets > 0)"), "the gets of before are not on it"
        assert page.script("points.at(-1).isFirst") is False, "the first look does not follow what was before"
        assert page.gap_seconds("use") < 2 * times_as_busy(), "a hole between what was before and now"
        for span, said in (("hour", "The last 60 minutes; an upright line each ten minutes."), ("day", "The last 24 hours; an upright line each three hours.")):
            page.browser.find_element("css selector", f"#span [value={span}]").click()
            page.until(lambda: said in page.text("use-text"))
            assert page.script("shown().length") >= 2 and page.line_columns("use", "--hue-c"), "no line"
        page.browser.find_element("css selector", "#span [value=minutes]").click()
        page.until(lambda: re.search(r" The last \d+ seconds[.;]", page.text("use-text")))


def test_labels_and_structure():
    with Page(1) as page:
        assert page.script("[...document.querySelectorAll('input')].every(i => i.labels.length === 1)")
        assert page.script("[...document.querySelectorAll('section')].every(s => document.getElementById(s.getAttribute('aria-labelledby')))")
        assert page.script("[...document.querySelectorAll('canvas')].every(c => c.getAttribute('aria-label'))")
        assert not page.browser.find_element("id", "access").is_displayed(), "a token is asked for that is not needed"
        assert page.script("document.querySelectorAll('h1').length") == 1 and page.script("document.documentElement.lang") == "en"
        assert page.script("[...document.querySelectorAll('[aria-live]')].length") >= 2


# Texts whose contrast with what they stand on is less than 4.5 to 1.
PALE_TEXTS = """
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const groundOf = (element) => {
        for (; element; element = element.parentElement) {
            const ground = channels(getComputedStyle(element).backgroundColor);
            if (ground.length === 3 || ground[3] === 1) return ground;
        }
        return [255, 255, 255];
    };
    const pale = [];
    let seen = 0;
    const judge = (element, colour, text) => {
        const pair = [light(channels(colour)), light(groundOf(element))].sort((a, b) => b - a), contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
        seen++;
        if (contrast < 4.5) pale.push([text, contrast.toFixed(2)]);
    };
    document.querySelectorAll("[hidden]").forEach(element => { element.hidden = false; });
    document.querySelectorAll("details").forEach(element => { element.open = true; });
    for (const element of document.querySelectorAll("body *")) {
        const text = [...element.childNodes].filter(node => node.nodeType === 3).map(node => node.textContent.trim()).join("");
        if (text && element.getClientRects().length) judge(element, getComputedStyle(element).color, text);
        if (element.placeholder) judge(element, getComputedStyle(element, "::placeholder").color, element.placeholder);
    }
    return [seen, pale];
"""


def test_narrow_and_dark():
    grounds = []
    for scheme in ("light", "dark"):
        with Page(1, size=(400, 900), expected=r"/api/emergency\?bytes=900m .* 400") as page:
            page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            grounds.append(page.script("getComputedStyle(document.body).backgroundColor"))
            assert page.script("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), "wider than the window"
            page.browser.execute_script("document.querySelector('details').open = true")
            wide = page.script("[...document.querySelectorAll('.scroll')].filter(s => s.scrollWidth > s.clientWidth)")
            assert wide, "nothing is to be scrolled"
            for box in wide:
                assert box.get_attribute("tabindex") == "0" and box.get_attribute("role") == "region", box.get_attribute("outerHTML")[:80]
                assert page.browser.execute_script("return arguments[0].ariaLabel || document.getElementById(arguments[0].getAttribute('aria-labelledby'))", box)
            page.request_by_keyboard("Defragment", "ok")
            page.browser.execute_script("document.querySelectorAll('#emergency button').forEach(b => b.setAttribute('aria-disabled', 'true'))")
            for bad in (False, True):
                if bad:
                    page.browser.find_element("id", "need").send_keys("900m", Keys.ENTER)
                    page.until(lambda: page.script("document.getElementById('confirm').open"))
                    seen, pale = page.browser.execute_script(PALE_TEXTS)
                    assert not pale, (scheme, "dialog", pale)
                    page.confirm("it will be refused")
                    page.outcome("Not done")
                seen, pale = page.browser.execute_script(PALE_TEXTS)
                assert seen > 80 and not pale, (scheme, seen, pale)
    assert grounds[0] != grounds[1], grounds


def test_the_focus_stays_where_the_user_went():
    with Page(1) as page:
        page.tab_to("Defragment")
        page.server.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, page.server.process.pid, os.WSTOPPED | os.WNOWAIT)  # else it may still answer
        page.press(Keys.ENTER)
        page.outcome("working")
        assert page.focused() == "Defragment", "the focus is lost while it works"
        assert page.script("document.activeElement.getAttribute('aria-disabled')") == "true"
        page.tab_to("need")
        page.press("7")
        page.server.process.send_signal(signal.SIGCONT)
        page.outcome("ok")
        assert page.focused() == "need", "the focus was taken away"
        assert page.script("document.querySelectorAll('[aria-disabled]').length") == 0
        page.press("m", Keys.TAB)
        assert page.script("document.getElementById('need').value") == "7m"


def test_the_token_is_asked_for_and_kept():
    with tempfile.NamedTemporaryFile("w", suffix=".token") as file:
        file.write("0123456789abcdef\n")
        file.flush()
        with Page(1, "--http-token-file", file.name, expected=r"/api/(defrag|emergency)\?.* 403") as page:
            form = page.browser.find_element("id", "access")
            assert not form.is_displayed()
            page.request_by_keyboard("estimate", "Estimate")
            page.request_by_keyboard("Defragment", "Not done: this server wants its token")
            page.until(lambda: page.focused() == "token")
            page.press(Keys.ENTER)
            assert form.is_displayed(), "no token was taken for one"
            page.press("fedcba9876543210", Keys.ENTER)
            page.outcome("The token is used")
            assert not form.is_displayed() and page.focused() == "Defragment", page.focused()
            page.press(Keys.ENTER)
            page.outcome("Not done: this is not the token")
            page.until(lambda: page.focused() == "token")
            assert page.script("document.getElementById('token').value") == ""
            page.press("0123456789abcdef", Keys.ENTER)
            assert page.focused() == "Defragment", page.focused()
            page.press(Keys.ENTER)
            page.outcome("ok")
            page.browser.refresh()
            page.until(lambda: page.text("state") == "live")
            page.request_by_keyboard("Defragment", "ok")
            assert not page.browser.find_element("id", "access").is_displayed()


def test_a_map_too_large_to_show_whole():
    with Page(2, memory="256") as page:
        page.send(b"".join(b"set m%d 0 0 2000 noreply\r\n%s\r\n" % (i, b"v" * 2000) for i in range(90000)))
        with urllib.request.urlopen(f"http://{page.address}/api/map", timeout=HANG_S) as answer:
            workers = json.load(answer)["workers"]
        strides, pages = {worker["stride_pages"] for worker in workers}, [len(worker["map"]["pages"]) for worker in workers]
        assert strides == {2}, strides
        wanted = [f"worker {at}: {pages[at]} pages of 16.0 KiB, one in 2" for at in (0, 1)]
        page.until(lambda: page.script("[...document.querySelectorAll('#maps figcaption')].map(c => c.textContent)") == wanted)
        page.browser.find_element("css selector", "summary").click()
        captions, labels, tabled = page.script("""[
            [...document.querySelectorAll('#maps figcaption')].map(c => c.textContent),
            [...document.querySelectorAll('#maps canvas')].map(c => c.getAttribute('aria-label')),
            [...document.querySelectorAll('#map-table tr')].map(r => +r.cells[2].textContent)]""")
        assert captions == wanted, (captions, pages)
        said = [re.fullmatch(r"(\d+) of (\d+) pages in use, one in 2 shown", label) for label in labels]
        assert all(said) and [int(each[2]) for each in said] == pages, labels
        assert sum(int(each[1]) for each in said) == sum(tabled) > 0, (labels, tabled)
        assert page.browser.find_element("id", "map-table").is_displayed()


def test_goes_on_when_the_server_does_not_answer():
    with Page(1) as page:
        page.until_looks(2)
        page.server.process.send_signal(signal.SIGSTOP)
        page.until(lambda: page.text("state").startswith("No answer"))
        page.server.process.send_signal(signal.SIGCONT)
        page.until(lambda: page.text("state") == "live")
        page.until_looks(2)
        assert (gap := page.gap_seconds("frag")) > 4, gap


def test_goes_on_with_a_server_started_again():
    with Page(1, expected="ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE") as page:
        page.send(b"get none\r\n" * 1000)
        page.until_looks(3)
        assert page.figure("items") != "0"
        page.server.__exit__(None, None, None)
        page.until(lambda: page.text("state").startswith("No answer"))
        assert page.script("document.getElementById('state').className") == "bad"
        time.sleep(3)
        page.server.__enter__()
        page.until(lambda: page.text("state") == "live")
        assert page.figure("items") == "0", page.figure("items")
        page.until_looks(2)
        assert page.gap_seconds("frag") > 2.5
        assert page.figure("hit rate") == "no gets" and page.figure("requests a second") == "0", page.text("figures")
        page.request_by_keyboard("Defragment", "ok")


def test_rates_are_of_one_start_and_of_the_time_between():
    """One that took less than a second, so that every look was answered; and a machine that slept."""
    with Page(1) as page:
        page.until_looks(2)
        rates = page.browser.execute_script("""
            const same = before.stats, at = before.at, rateAfter = ([seconds, changes]) => {
                const last = { at, stats: { ...same, uptime: 100 } };
                return pointOf({ at: at + 1000 * seconds, stats: { ...same, get_hits: same.get_hits + 600, uptime: 100, ...changes } }, last, SPANS.minutes.gapMs).rate;
            };
            return [[1, {}], [4, {}], [1, { pid: same.pid + 1 }], [1, { uptime: 99 }], [3600, {}]].map(rateAfter);""")
        assert rates == [600, 150, None, None, None], rates


def screenshot(path):
    """The whole page, after a defragmentation within a budget and while a client reads."""
    with Page(2) as page:
        stop = threading.Event()

        def load():
            source = random.Random(1)
            with page.server.connect() as stream:
                while not stop.is_set():
                    send(stream, b"".join(b"get k%d\r\n" % source.randrange(20000) for _ in range(50)))
                    stop.wait(source.uniform(0.01, 0.04))

        thread = threading.Thread(target=load)
        thread.start()
        try:
            time.sleep(28)
            page.browser.find_element("id", "bytes").send_keys("200k")
            page.browser.find_element("css selector", "#defrag button:not([id])").click()
            time.sleep(18)
            page.make_holes()
            time.sleep(10)
            page.browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
            page.resize(1280, page.script("document.documentElement.scrollHeight"))
            page.until_looks(2)
            page.browser.save_screenshot(path)
        finally:
            stop.set()
            thread.join()


def main():
    if MISSING:
        print(f"[==========] Running 1 test(s).\n[  SKIPPED ] not there: {', '.join(MISSING)} (Debian: chromium chromium-driver python3-selenium)")
        return SKIPPED
    if len(sys.argv) > 3 and sys.argv[2] == "--screenshot":
        screenshot(sys.argv[3])
        BROWSER.end()
        return 0
    status = run_tests(globals())
    BROWSER.end()
    return status


sys.exit(main())
