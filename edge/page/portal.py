"""What a phone gets on the device's own network when it looks for an Internet: the way to the page.

A phone asks a host of its maker's for a page that it knows. Answered with anything else it shows that in a window of
its own, which closes, keeps nothing and cannot choose a photo. So that window says where the page is, and only when the
person has chosen to stay the phone is told what it wants to hear: it may leave a network without an Internet otherwise.
"""

from __future__ import annotations

from collections import OrderedDict

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from .guard import client

WELCOME, STAY = "/welcome", "/stay"
_MOST_PHONES = 256
_FIREFOX = "https://support.mozilla.org/kb/captive-portal"
_ALL_IS_WELL = {
    "/generate_204": (204, ""),
    "/gen_204": (204, ""),
    "/hotspot-detect.html": (200, "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"),
    "/library/test/success.html": (200, "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>"),
    "/connecttest.txt": (200, "Microsoft Connect Test"),
    "/ncsi.txt": (200, "Microsoft NCSI"),
    "/success.txt": (200, "success\n"),
    # Firefox looks where this leads.
    "/canonical.html": (200, f'<meta http-equiv="refresh" content="0;url={_FIREFOX}"/>'),
    "/check_network_status.txt": (200, "NetworkManager is online\n"),
}
"""What phones, Windows, Firefox and NetworkManager ask for, and the answer that tells each that it may stay."""
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>stibium</title></head>
<body><main><h1>stibium</h1>{text}</main></body></html>"""


class Portal:
    """Answers for every other host; its two pages belong to this device.

    Args:
        url: of the page.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._shown = url.replace("//", "//<wbr>")
        self._staying: OrderedDict[str, None] = OrderedDict()

    def stranger(self, request: Request) -> Response:
        """Answer a request for another host."""
        known = _ALL_IS_WELL.get(request.url.path)
        if known is not None and client(request) in self._staying:
            status, text = known
            kind = "text/plain" if request.url.path.endswith(".txt") else "text/html"
            return Response(text, status, media_type=kind if text else None)
        return RedirectResponse(self._url.rstrip("/") + WELCOME, 302)

    async def welcome(self, request: Request) -> Response:
        """Say where the page is."""
        text = (
            f"<h2>The page of this device is at<br>{self._shown}</h2><p>Open that address in your browser: this window "
            f'closes by itself.</p><h2><a href="{STAY}">Stay in this network</a></h2><p>It leads to the device and to '
            "nothing else.</p>"
        )
        return HTMLResponse(_PAGE.format(text=text), headers=_POLICY)

    async def stay(self, request: Request) -> Response:
        """Remember that somebody has chosen to stay."""
        self._staying[client(request)] = None
        if len(self._staying) > _MOST_PHONES:
            self._staying.popitem(last=False)
        text = f'<h2>Now open in your browser:<br><a href="/">{self._shown}</a></h2>'
        return HTMLResponse(_PAGE.format(text=text), headers=_POLICY)


_POLICY = {"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
