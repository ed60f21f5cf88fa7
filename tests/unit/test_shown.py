"""How texts look on the pages."""

from executor.views.template_tags.shown import paragraphs


def test_documentation_flows_but_its_lists_stay():
    text = "One line\nand `code` <b>here</b>.\n\n- first\n- second `x`\n\n`open"
    assert paragraphs(text) == (
        "<p>One line and <code>code</code> &lt;b&gt;here&lt;/b&gt;.</p>"
        "<pre>- first\n- second <code>x</code></pre><p>`open</p>"
    )
    assert paragraphs("") == "<p></p>"
