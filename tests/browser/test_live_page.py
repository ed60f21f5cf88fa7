"""The live page of a batch in Chromium."""

import re

import httpx
from playwright.sync_api import expect

KEEP_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...how) { super(...how); window.sockets.push(this); }
};
"""
MANY = 60_000  # more than one part of a search covers
HOLD_SEARCHES = """
window.held = [];
const original = window.fetch;
window.fetch = async (url, ...how) => {
  const answer = await original(url, ...how);
  if (String(url).includes("cursor=")) await new Promise((resume) => window.held.push(resume));
  return answer;
};
"""
TASKS = "\n".join(["function,name,duration", *(f"simulate,part {number},0.5" for number in range(12))])


def test_page_follows_a_batch_to_its_end_across_a_lost_socket(page, worker):
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


def agent(url: str, token: str) -> httpx.Client:
    return httpx.Client(base_url=f"{url}/api", headers={"Authorization": f"Bearer {token}"}, timeout=60)


def hay(client: httpx.Client) -> str:
    """Add a batch of very many tasks, the first and last of which are needles; return its id."""
    between = [{"function": "simulate"}] * (MANY - 1)
    needles = [{"function": "simulate", "name": f"{which} needle", "custom_id": which} for which in ("first", "last")]
    added = client.post("/add_batch", json={"tasks": [needles[0], *between, needles[1]], "name": "Hay"})
    return added.json()["data"]["batch_id"]


def test_search_in_a_large_batch_continues_to_the_end(page, api_token, live_server_url):
    page.goto(f"/batches/{hay(agent(live_server_url, api_token))}/")
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


def test_search_shows_changes_made_during_the_search(page, api_token, live_server_url, eventually):
    client = agent(live_server_url, api_token)
    batch_id = hay(client)
    page.add_init_script(HOLD_SEARCHES)
    page.goto(f"/batches/{batch_id}/")
    matching, rows = page.locator("#matching"), page.locator("tr[data-number]")
    page.locator("#filters [name=q]").fill("needle")
    expect(matching).to_have_text("1 task up to #25,000, searching…")
    eventually(lambda: page.evaluate("window.held.length") == 1)
    page.evaluate("window.held[0]()")
    expect(matching).to_have_text("1 task up to #50,000, searching…")
    eventually(
        lambda: page.evaluate("window.held.length") == 2
    )  # the answer with the last needle, still queued, is held
    client.post("/cancel", json={"batch": batch_id, "custom_ids": ["first", "last"]}).raise_for_status()
    expect(rows.first).to_have_attribute("data-status", "cancelled")
    page.evaluate("window.held[1]()")
    expect(matching).to_have_text("2 tasks")
    expect(rows.last).to_contain_text("last needle")
    expect(rows.last).to_have_attribute("data-status", "cancelled")
