"""A page's size and speed: from the network log, and from paint and layout shifts that the browser
reports."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

_OBSERVE = """
window.seen = {lcp: 0, cls: 0};
new PerformanceObserver(list => { for (const e of list.getEntries()) seen.lcp = e.startTime })
    .observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => {
    for (const e of list.getEntries()) if (!e.hadRecentInput) seen.cls += e.value;
})
    .observe({type: "layout-shift", buffered: true});
"""
_TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Kilobytes on the wire (headers too), requests, kilobytes by kind, and the share of the screen
# that moved. The time until the largest part is painted is reported only: it says as much of the
# machine.
LIMITS = {
    "total": 100.0,
    "requests": 8.0,
    "Document": 30.0,
    "Script": 30.0,
    "Stylesheet": 20.0,
    "Font": 0.0,
    "cls": 0.02,
}
HEAD = f"{'page':<12} {'KB':>6} {'req':>4} {'HTML':>6} {'JS':>6} {'CSS':>6} {'LCP s':>6} {'CLS':>6}"


@dataclass(frozen=True)
class Weight:
    """The measurements of one first load."""

    figures: dict[str, float]

    def beyond(self) -> dict[str, tuple[float, float]]:
        """What exceeds its limit, and the limit."""
        return {
            name: (self.figures.get(name, 0.0), most)
            for name, most in LIMITS.items()
            if self.figures.get(name, 0.0) > most
        }

    def row(self, page: str) -> str:
        """A line of the table."""
        kb = [self.figures.get(kind, 0.0) for kind in ("Document", "Script", "Stylesheet")]
        return (
            f"{page:<12} {self.figures['total']:6.1f} {self.figures['requests']:4.0f} "
            + " ".join(f"{one:6.1f}" for one in kb)
            + f" {self.figures['lcp']:6.2f} {self.figures['cls']:6.3f}"
        )


def weigh(page: Page, url: str) -> Weight:
    """Load a page with an empty cache."""
    kinds: dict[str, str] = {}
    kilobytes: Counter[str] = Counter()
    page.add_init_script(_OBSERVE)
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.send("Network.clearBrowserCache")
    requests: list[str] = []

    def requested(event: dict[str, Any]) -> None:
        if not event["request"]["url"].startswith("data:"):
            kinds[event["requestId"]] = event.get("type", "Other")
            requests.append(event["request"]["url"])

    def came(event: dict[str, Any]) -> None:
        kilobytes[kinds.get(event["requestId"], "Other")] += event["encodedDataLength"] / 1024

    wire.on("Network.requestWillBeSent", requested)
    wire.on("Network.loadingFinished", came)
    response = page.goto(url, wait_until="networkidle")
    assert response is not None and response.status == 200, response
    page.wait_for_function("seen.lcp > 0")
    page.evaluate(_TWO_FRAMES)
    seen = page.evaluate("seen")
    return Weight(
        {
            **kilobytes,
            "total": sum(kilobytes.values()),
            "requests": float(len(requests)),
            "lcp": seen["lcp"] / 1000,
            "cls": seen["cls"],
        }
    )
