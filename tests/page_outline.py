"""What tests see of an HTML page: its tags, its words, and the data of its figures."""

import base64
import csv
import io
import re
from html.parser import HTMLParser


class Outline(HTMLParser):
    """Every tag with its attributes; tags that were left open are an error."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.open = text, [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def fetches_nothing(self):
        """No script, and no address but places in the page, and data in it."""
        assert not self.all("script")
        for _, attributes in self.tags:
            for key in ("src", "href", "xlink:href", "srcset", "action"):
                assert attributes.get(key, "#").startswith(("#", "data:"))
        assert not re.search(r"url\((?!#)|@import|https?://", self.text)

    def figure(self, name):
        """The columns and rows of the data that a figure has to download, as texts."""
        (link,) = [a for a in self.all("a") if a.get("download") == f"{name}.csv"]
        text = base64.b64decode(link["href"].partition("base64,")[2]).decode()
        columns, *rows = csv.reader(io.StringIO(text))
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL))
