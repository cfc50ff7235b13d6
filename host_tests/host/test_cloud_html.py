"""Telegram's HTML is parsed as the server does it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.cloud import html


def parse(text):
    return html.parse(text.encode())


def entity(kind, offset, length, **more):
    return {"type": kind, "offset": offset, "length": length, **more}


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("plain", "plain", []),
        ("<b>x</b>", "x", [entity("bold", 0, 1)]),
        ("<STRONG>x</strong>", "x", [entity("bold", 0, 1)]),
        ("<i>x</i><em>y</em>", "xy", [entity("italic", 0, 1), entity("italic", 1, 1)]),
        ("<u>x</u><ins>y</ins>", "xy", [entity("underline", 0, 1), entity("underline", 1, 1)]),
        ("<s>a</s>", "a", [entity("strikethrough", 0, 1)]),
        ("<strike>a</strike>", "a", [entity("strikethrough", 0, 1)]),
        ("<del>a</del>", "a", [entity("strikethrough", 0, 1)]),
        ("<tg-spoiler>a</tg-spoiler>", "a", [entity("spoiler", 0, 1)]),
        ('<span class="tg-spoiler">a</span>', "a", [entity("spoiler", 0, 1)]),
        ("<code>a</code>", "a", [entity("code", 0, 1)]),
        ("<pre>a</pre>", "a", [entity("pre", 0, 1)]),
        (
            '<pre><code class="language-python">a</code></pre>',
            "a",
            [entity("pre", 0, 1, language="python")],
        ),
        ('<code class="language-c">a</code>', "a", [entity("code", 0, 1)]),
        ("<blockquote>a</blockquote>", "a", [entity("blockquote", 0, 1)]),
        ("<blockquote expandable>a</blockquote>", "a", [entity("expandable_blockquote", 0, 1)]),
        (
            '<a href="http://x.org/?a=1&amp;b=2">a</a>',
            "a",
            [entity("text_link", 0, 1, url="http://x.org/?a=1&b=2")],
        ),
        ("<a href='x.org'>a</a>", "a", [entity("text_link", 0, 1, url="http://x.org/")]),
        ("<a>x.org</a>", "x.org", [entity("text_link", 0, 5, url="http://x.org/")]),
        (
            '<tg-emoji emoji-id="5368324170671202286">a</tg-emoji>',
            "a",
            [entity("custom_emoji", 0, 1, custom_emoji_id="5368324170671202286")],
        ),
        ("&lt;&gt;&amp;&quot;", '<>&"', []),
        ("&#65;&#x1f600;&#xE9", "A😀é", []),
        ("&nbsp; &; & &#0; &#x110000;", "&nbsp; &; & &#0; &#x110000;", []),
        ("a > b", "a > b", []),
        ("<b></b>", "", []),
        ("😀<b>é😀</b>", "😀é😀", [entity("bold", 2, 3)]),
        ("<b>a<i>b</i></b>", "ab", [entity("bold", 0, 2), entity("italic", 1, 1)]),
        ("<b>a</>", "a", [entity("bold", 0, 1)]),
        ("<b >a</b >", "a", [entity("bold", 0, 1)]),
        ("<b>a</B>", "a", [entity("bold", 0, 1)]),
        ("<b><i>a</i>b</b>", "ab", [entity("bold", 0, 2), entity("italic", 0, 1)]),
        ("<a href=X.org >a</a>", "a", [entity("text_link", 0, 1, url="http://x.org/")]),
        ('<a href=" ">a</a>', "a", []),
        (
            '<code class="language-c"><pre>a</pre></code>',
            "a",
            [entity("pre", 0, 1, language="c")],
        ),
        (
            '<code class="language-c">a</code><pre>b</pre>',
            "ab",
            [entity("code", 0, 1), entity("pre", 1, 1)],
        ),
        (
            '<pre>a</pre><code class="language-c">b</code>',
            "ab",
            [entity("pre", 0, 1), entity("code", 1, 1)],
        ),
        ("&#x000041;&#x0000041;", "A&#x0000041;", []),
        ("&#X41;&#1114111;", "&#X41;&#1114111;", []),
    ],
)
def test_what_parses(source, text, entities):
    found_text, found = parse(source)

    assert found_text == text
    assert found == entities


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("a <b", "Unclosed start tag at byte offset 2"),
        ("é<foo>", 'Unsupported start tag "foo" at byte offset 2'),
        ("a < b > c", 'Unsupported start tag "" at byte offset 2'),
        ("</b>", "Unexpected end tag at byte offset 0"),
        (
            "<b>x</i>",
            'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"',
        ),
        ("<b><i>x</b>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("<b\0>x</b>", "Unclosed start tag at byte offset 0"),
        ('<a href="x"', "Unclosed start tag at byte offset 0"),
        (
            '<span class="spoiler">x</span>',
            'Tag "span" must have class "tg-spoiler" at byte offset 0',
        ),
        ('<tg-emoji emoji-id="0">a</tg-emoji>', "Invalid custom emoji identifier specified"),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ('<a href="x>y</a>', "Unclosed start tag at byte offset 0"),
        ('<a ="x">y</a>', 'Empty attribute name in the tag "a" at byte offset 0'),
        ("<a href", 'Unclosed start tag "a" at byte offset 0'),
        ("<a href=", 'Unclosed start tag "a" at byte offset 0'),
        ("<a href=x/y>z</a>", "Unexpected end of name token at byte offset 8"),
        ('<tg-emoji emoji-id="x">a</tg-emoji>', "Invalid custom emoji identifier specified"),
        (
            "&#xd83d;",
            "Text contains invalid Unicode characters after decoding HTML entities, check for "
            "unmatched surrogate code units",
        ),
    ],
)
def test_what_does_not_parse(source, error):
    with pytest.raises(html.EntityError) as caught:
        parse(source)

    assert str(caught.value) == error


@given(st.text(alphabet=st.sampled_from("a é😀<>/&;#b=\"' x65\n"), max_size=60))
def test_nothing_but_an_entity_error_comes_out(source):
    try:
        text, entities = parse(source)
    except html.EntityError:
        return
    for found in entities:
        assert found["length"] > 0 and found["offset"] + found["length"] <= html.units(text)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_escaped_text_comes_back(text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert parse(escaped) == (text, [])
