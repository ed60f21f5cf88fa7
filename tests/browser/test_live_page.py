"""The page as an operator meets it: a batch is made, started, and seen to its end without a reload."""

import re

import httpx
from playwright.sync_api import expect

KEEP_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...how) { super(...how); window.sockets.push(this); }
};
"""
MANY = 60_000  # more than a page of a search looks at
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
    page.locator("tr[data-number] input[type=checkbox]").first.click()
    expect(page.locator(".bulk-bar")).to_contain_text("1 task selected")
    page.keyboard.press("Escape")
    expect(page.locator(".bulk-bar")).to_have_count(0)
    assert page.evaluate("window.sockets.length") > before, "the socket was not opened again"
    assert page.evaluate("window.unbroken"), "the page was loaded again"


def test_a_search_in_a_large_batch_goes_on_until_it_has_seen_all(page, api_token, live_server_url):
    hay = [{"function": "simulate"}] * (MANY - 1)
    tasks = [{"function": "simulate", "name": "first needle"}, *hay, {"function": "simulate", "name": "last needle"}]
    added = httpx.post(
        f"{live_server_url}/api/add_batch",
        json={"tasks": tasks, "name": "Hay"},
        headers={"Authorization": f"Bearer {api_token}"},
        timeout=60,
    )
    page.goto(f"/batches/{added.json()['data']['batch_id']}/")
    matching, rows = page.locator("#matching"), page.locator("tr[data-number]")
    expect(matching).to_have_text("60,001 tasks")
    search = page.locator("#filters [name=q]")
    search.fill("simulate")  # all match: a page is full at once
    expect(matching).to_have_text("more than 50 tasks")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.locator("tr[data-number='100']")).to_be_attached()
    expect(matching).to_have_text(re.compile(r"more than (100|150|200) tasks"))
    page.keyboard.press("Escape")  # out of the field
    with page.expect_response(re.compile("offset=")):
        page.keyboard.press(".")  # from the middle of the list
    expect(page.locator("tr.blank")).to_have_count(0)
    expect(matching).to_have_text(re.compile(r"more than (100|150|200) tasks"))
    page.reload()
    expect(matching).to_have_text("more than 50 tasks")
    expect(rows.first).to_have_attribute("data-number", "1")
    search.fill("needle")
    expect(matching).to_have_text("2 tasks")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("last needle")
    search.fill("nowhere")
    expect(page.locator(".empty")).to_have_text("No task matches this filter.")
    expect(matching).to_have_text("0 tasks")
