"""Documentation of task functions as HTML."""

from executor.views.template_tags.function_docs import paragraphs


def test_paragraphs_are_joined_and_lists_keep_their_lines():
    text = "One line\nand `code` <b>here</b>.\n\n- first\n- second `x`\n\n`open"
    assert paragraphs(text) == (
        "<p>One line and <code>code</code> &lt;b&gt;here&lt;/b&gt;.</p>"
        "<pre>- first\n- second <code>x</code></pre><p>`open</p>"
    )
    assert paragraphs("") == "<p></p>"
