"""Test of the dashboard in a real browser, headless: loads, updates, estimates and defragments by keyboard alone, shows what came of it; with 1 and with
16 workers; light and dark; after the server or the reader was away; what its lines say, read from their pixels.

    test_dashboard.py SNUGD [--screenshot FILE.png]

Needs Debian's chromium, chromium-driver and python3-selenium; without them it says so and passes nothing and fails nothing.
"""

import os
import random
import re
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "protocol"))
from server_process import Server

PROGRAM = sys.argv[1]
try:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    MISSING = [path for path in ("/usr/bin/chromium", "/usr/bin/chromedriver") if not os.path.exists(path)]
except ImportError:
    MISSING = ["python3-selenium"]


# Where something of a line's colour is drawn, in pixels from the left.
COLUMNS_OF_COLOUR = """
    const canvas = document.getElementById(arguments[0]), probe = document.createElement("canvas").getContext("2d");
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(arguments[1]).trim();
    probe.fillRect(0, 0, 1, 1);
    const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data, {width, height} = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data, columns = [];
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


class Page:
    """with Page(threads) as page: a server with holes in its memory, and a browser that shows it"""

    def __init__(self, threads, *arguments, dark=False, size="1280,1500"):
        self.server = Server(PROGRAM, ["-m", "64", "-t", str(threads), "--http", "127.0.0.1:0", "--defrag", "off", *arguments])
        self.options = Options()
        self.options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={size}"):
            self.options.add_argument(argument)
        if dark:
            self.options.add_argument("--force-dark-mode")
        self.options.set_capability("goog:loggingPrefs", {"browser": "ALL"})

    def __enter__(self):
        self.server.__enter__()
        try:
            self.make_holes()
            while (found := re.search(r"http://127.0.0.1:(\d+)", self.server.log_text())) is None:
                time.sleep(0.01)
            port = found.group(1)
            self.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=self.options)
            self.browser.get(f"http://127.0.0.1:{port}/")
            self.until(lambda: self.text("state") == "live")
        except BaseException:
            self.server.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *what):
        self.browser.quit()
        self.server.__exit__(*what)

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

    def until(self, condition, seconds=20):
        WebDriverWait(self.browser, seconds, poll_frequency=0.05).until(lambda _: condition())

    def cells(self, line):
        return self.script(f"[...document.querySelectorAll('#result tr')[{line}].cells].map(c => c.textContent)")

    def figure(self, name):
        return self.script(f"[...document.querySelectorAll('#figures dt')].find(t => t.textContent === '{name}').nextSibling.textContent")

    def line_columns(self, canvas, colour="--accent"):
        return self.browser.execute_script(COLUMNS_OF_COLOUR, canvas, colour)

    def gap_seconds(self, canvas, colour="--accent"):
        """The widest stretch without a line between two ends of it, by the minute that the canvas is wide."""
        columns = self.line_columns(canvas, colour)
        return max(b - a for a, b in zip(columns, columns[1:])) * 60 / self.script(f"document.getElementById('{canvas}').width")

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
            stream.sendall(commands + b"mn\r\n")
            answer = b""
            while not answer.endswith(b"MN\r\n"):
                answer = answer[-10:] + stream.recv(65536)

    def press(self, *keys):
        self.browser.switch_to.active_element.send_keys(*keys)

    def tab_to(self, identifier):
        for _ in range(40):
            if self.script("document.activeElement.id || document.activeElement.textContent.trim()") == identifier:
                return
            self.press(Keys.TAB)
        raise AssertionError(f"no way to {identifier} by the keyboard")

    def expect_no_errors(self):
        errors = [entry for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE" and "favicon" not in entry["message"]]
        assert not errors, errors


def bytes_of(text):
    number, unit = text.split(" ")
    return float(number) * 1024 ** ["B", "KiB", "MiB", "GiB"].index(unit)


def test_by_keyboard_alone():
    for threads in (1, 16):
        with Page(threads) as page:
            assert page.script("document.querySelectorAll('#maps canvas').length") == threads
            assert re.search(r"\d+ of \d+ pages in use", page.script("document.querySelector('#maps canvas').getAttribute('aria-label')"))
            assert page.script("document.querySelectorAll('#latency tr').length") == threads
            page.tab_to("estimate")
            page.press(Keys.ENTER)
            page.until(lambda: page.text("outcome").startswith("Estimate"))
            estimated = bytes_of(page.cells(0)[1])
            assert estimated > 100000 and page.cells(0)[2] == "-", page.cells(0)
            page.tab_to("Defragment")
            page.press(Keys.ENTER)
            page.until(lambda: page.text("outcome").startswith("ok"))
            done = bytes_of(page.cells(0)[2])
            assert 0.9 * estimated < done < 1.1 * estimated, page.cells(0)
            page.until(lambda: "defragment" in page.text("reports"))
            assert page.script("document.activeElement.textContent.trim()") == "Defragment", "the focus is lost"
            page.expect_no_errors()


def test_updates_and_budgets():
    with Page(2) as page:
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
        page.tab_to("Defragment")
        page.press(Keys.ENTER)
        page.until(lambda: page.text("outcome").startswith("ok"))
        assert "budget" in page.text("outcome"), page.text("outcome")
        page.browser.find_element("id", "need").send_keys("900m", Keys.ENTER)
        page.until(lambda: page.text("outcome").startswith("Not done"))


def test_seconds_without_gets_have_no_hit_rate():
    with Page(1) as page:
        assert page.figure("hit rate") == "not yet known" or page.looks() > 1
        page.until_looks(3)
        assert page.figure("hit rate") == "no gets" and "Hit rate: no gets" in page.text("load-text"), page.text("load-text")
        assert page.line_columns("load") == [] and len(page.line_columns("frag")) > 10
        for wait in (3, 0):
            page.send(b"get none\r\n" * 10)
            page.until(lambda: "Hit rate: 0.0 %" in page.text("load-text"))
            page.until_looks(wait)
        assert 2 < (gap := page.gap_seconds("load")) < 10, gap
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
        assert 5.5 < (gap := page.gap_seconds("frag")) < 9, gap
        assert page.figure("hit rate") == "no gets"
        assert page.script("Math.max(...points.map(p => p.rate))") < 100, "requests from before are counted into a second"
        page.send(b"get none\r\n" * 3000)
        page.until(lambda: page.figure("hit rate") == "0.0 %")
        assert 1000 < page.script("Math.max(...points.map(p => p.rate))") < 6000


def test_labels_and_structure():
    with Page(1) as page:
        assert page.script("[...document.querySelectorAll('input')].every(i => i.labels.length === 1)")
        assert page.script("[...document.querySelectorAll('section')].every(s => document.getElementById(s.getAttribute('aria-labelledby')))")
        assert page.script("[...document.querySelectorAll('canvas')].every(c => c.getAttribute('aria-label'))")
        assert not page.browser.find_element("id", "access").is_displayed(), "a token is asked for that is not needed"
        assert page.script("document.querySelectorAll('h1').length") == 1 and page.script("document.documentElement.lang") == "en"
        assert page.script("[...document.querySelectorAll('[aria-live]')].length") >= 2


def test_narrow_and_dark():
    light = None
    for dark in (False, True):
        with Page(1, size="400,900") as page:
            if dark:
                media = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
                page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            ground = page.script("getComputedStyle(document.body).backgroundColor")
            assert ground != light, ground
            light = ground
            assert page.script("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), "wider than the window"


def test_goes_on_when_the_server_was_away():
    with Page(1) as page:
        page.server.process.send_signal(19)
        page.until(lambda: page.text("state").startswith("No answer"))
        page.server.process.send_signal(18)
        page.until(lambda: page.text("state") == "live")


def screenshot(path):
    with Page(2, size="1280,1560") as page:
        stop = threading.Event()

        def load():
            source = random.Random(1)
            while not stop.is_set():
                page.send(b"".join(b"get k%d\r\n" % source.randrange(20000) for _ in range(50)))
                time.sleep(0.02)

        thread = threading.Thread(target=load)
        thread.start()
        time.sleep(12)
        page.browser.find_element("id", "bytes").send_keys("200k")
        page.browser.find_element("css selector", "#defrag button:not([id])").click()
        time.sleep(8)
        page.browser.find_element("id", "bytes").clear()
        page.make_holes()
        time.sleep(5)
        page.browser.save_screenshot(path)
        stop.set()
        thread.join()


def main():
    if MISSING:
        print(f"[==========] Running 0 test(s).\nleft out: {', '.join(MISSING)} (Debian: chromium chromium-driver python3-selenium)\n[  PASSED  ] 0 test(s).")
        return 0
    if len(sys.argv) > 3 and sys.argv[2] == "--screenshot":
        screenshot(sys.argv[3])
        return 0
    tests = [(name, body) for name, body in globals().items() if name.startswith("test_")]
    failed = []
    print(f"[==========] Running {len(tests)} test(s).")
    for name, body in tests:
        print(f"[ RUN      ] {name}", flush=True)
        try:
            body()
            print(f"[       OK ] {name}")
        except Exception:
            traceback.print_exc()
            failed.append(name)
            print(f"[  FAILED  ] {name}")
    print(f"[==========] {len(tests)} test(s) run.")
    print(f"[  PASSED  ] {len(tests) - len(failed)} test(s).")
    return 1 if failed else 0


sys.exit(main())
