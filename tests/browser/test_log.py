"""The live log in Chromium: followed while it is written, coloured, never parsed as HTML."""

import pytest

from executor.storage.attempt_log import AttemptLog
from tests.factories import FakeWorker, running_batch

GREEN, RESET = "\x1b[32m", "\x1b[0m"

# The output of a program, in pieces split at any place, and the runs of text with their styles.
WRITTEN = {
    "a colour": ([f"{GREEN}green{RESET}\nplain"], [["green", "ansi-fg-2"], ["\n", ""], ["plain", ""]]),
    "several at once": (
        ["\x1b[1;4;31mx\x1b[22my\x1b[mz"],
        [["x", "ansi-bold ansi-underline ansi-fg-1"], ["y", "ansi-underline ansi-fg-1"], ["z", ""]],
    ),
    "bright, and behind": (["\x1b[97;101mw\x1b[39;49mn"], [["w", "ansi-fg-15 ansi-bg-9"], ["n", ""]]),
    "of 256 and of all": (
        ["\x1b[38;5;196mr\x1b[38;2;0;200;0mg\x1b[48;5;21mb"],
        [["r", "ansi-fg-1"], ["g", "ansi-fg-2"], ["b", "ansi-fg-2 ansi-bg-4"]],
    ),
    "cut in the middle": (["a\x1b", "[3", "2mb"], [["a", ""], ["b", "ansi-fg-2"]]),
    "other escapes": (
        ["\x1b]0;title\x07t\x1b]8;;http://x\x1b\\l\x1b[2K\x1b[1Aq\x1b(B\x1b=r\x1bP1;2q\x1b\\s\x08\x00"],
        [["t", ""], ["l", ""], ["q", ""], ["r", ""], ["s", ""]],
    ),
    "carriage returns": (
        ["10%\r20%\r\ndone\r", "\nlast"],
        [["10%", ""], ["\r", ""], ["20%\n", ""], ["done", ""], ["\n", ""], ["last", ""]],
    ),
}

READ = """async (cases) => {
  const { Ansi } = await import("/static/executor/js/log/ansi.js");
  const read = (pieces) => {
    const ansi = new Ansi();
    return pieces.flatMap((piece) => ansi.feed(piece)).map(({ text, classes }) => [text, classes]);
  };
  return Object.fromEntries(Object.entries(cases).map(([name, pieces]) => [name, read(pieces)]));
}"""


def test_terminal_output_becomes_text_with_styles(page):
    read = page.evaluate(READ, {name: pieces for name, (pieces, _) in WRITTEN.items()})
    assert read == {name: runs for name, (_, runs) in WRITTEN.items()}


def test_unterminated_escape_does_not_hide_the_log(page):
    read = page.evaluate(READ, {"endless": ["\x1b]" + "x" * 3000, "y" * 3000, " the end"]})
    assert "".join(text for text, _ in read["endless"]).endswith("yyy the end")


@pytest.fixture
def running(live_server_url):
    """Return a running task, its worker, the claim and the log."""
    batch, [task] = running_batch()
    worker = FakeWorker()
    [claimed] = worker.claim(batch)
    log = AttemptLog(claimed.batch_id, claimed.number, claimed.attempt)
    yield task, worker, claimed, log
    log.close()


@pytest.mark.parametrize("where", ["the drawer", "the page of the task"])
def test_log_is_followed_until_it_is_scrolled_up(page, running, where):
    task, worker, claimed, log = running
    log.write(f"{GREEN}first{RESET} <img src=x onerror=alert(1)>\n")
    page.goto(f"/batches/{task.batch_id}/?task=1" if where == "the drawer" else f"/tasks/{task.pk}/")
    box = page.get_by_role("log")
    box.get_by_text("<img src=x onerror=alert(1)>").wait_for()
    assert box.locator(".ansi-fg-2").text_content() == "first" and not box.locator("img").count()

    log.write("".join(f"line {number}\n" for number in range(200)) + "0%\r50%\r100%\r")
    box.get_by_text("100%").wait_for()
    assert "50%" not in box.text_content(), "an overwritten line is gone"
    from_end = "box => box.scrollHeight - box.clientHeight - box.scrollTop"
    page.wait_for_function(f"({from_end})(document.querySelector('.log')) < 24")

    box.evaluate("box => (box.scrollTop = 0)")
    page.get_by_role("button", name="Follow").wait_for()
    log.write("\nwhile the page is scrolled up\n")
    box.get_by_text("while the page is scrolled up").wait_for()
    assert box.evaluate("box => box.scrollTop") == 0
    page.get_by_role("button", name="Follow").click()
    assert box.evaluate(from_end) < 24

    log.write("the end\n")
    worker.complete(claimed)
    box.get_by_text("the end").wait_for()
    page.locator(".status[data-status=completed] >> visible=true").first.wait_for()


def test_log_names_the_bytes_not_kept(page, running):
    task, _, _, log = running
    log.write("head\n" + ("x" * 1023 + "\n") * 700 + "tail\n")
    page.goto(f"/tasks/{task.pk}/")
    page.get_by_role("log").get_by_text("tail").wait_for()
    assert "bytes not kept" in page.locator(".log-gap").text_content()


def test_task_without_a_log_shows_none(page, running):
    task, worker, claimed, _ = running
    page.goto(f"/tasks/{task.pk}/")
    worker.complete(claimed)
    page.locator("#task-head .status[data-status=completed]").wait_for()
    assert not page.get_by_role("log").count() and "Result" in page.locator("#task").text_content()
