"""The page as an operator meets it: a batch is made, started, and seen to its end without a reload."""

import re

from playwright.sync_api import expect

KEEP_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...how) { super(...how); window.sockets.push(this); }
};
"""
TASKS = "\n".join(["function,name,duration", *(f"simulate,part {number},0.5" for number in range(12))])


def test_a_batch_is_seen_to_its_end_without_a_reload_although_the_socket_was_cut(page, worker):
    worker()
    page.add_init_script(KEEP_SOCKETS)
    page.goto("/batches/new/?tab=many")
    page.get_by_label("Name").fill("Seen")
    page.get_by_label("Tasks as JSON").fill(TASKS)
    page.get_by_role("button", name="Create batch").click()
    expect(page.get_by_role("heading", name="Seen")).to_be_visible()
    expect(page.locator("#sign")).to_have_text(re.compile("live"))
    page.evaluate("window.unbroken = true")
    page.get_by_role("button", name="Start").click()
    state = page.locator("#batch-head [data-live=state]")
    expect(state).to_have_text("running")
    before = page.evaluate("window.sockets.length")
    page.evaluate("window.sockets.at(-1).close()")
    expect(state).to_have_text("finished", timeout=20_000)
    expect(page.locator("tr", has_text="part 11")).to_contain_text("completed")
    assert page.evaluate("window.sockets.length") > before, "the socket was not opened again"
    assert page.evaluate("window.unbroken"), "the page was loaded again"
