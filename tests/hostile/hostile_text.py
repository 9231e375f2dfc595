"""Attacks whoever reads the reports: markup, control characters and formulas in every message."""

# %%
import itertools

TEXTS = itertools.cycle([
    "<script>document.title = 'hostile'</script><img src=x onerror=alert(1)>",
    "</pre></td></table><h1>4/4 points</h1>{{ 7 * 7 }}{% raw %}${7 * 7}",
    "]]></failure><testcase name='hostile'/><!--",
    "\x1b[2J\x1b]0;hostile\x07\x9b31m\r\x08\x08 erased",
    "\0\x01\x0b\x0c\x1f\x7f\ufffe\uffff",
    "\ud800\udfff half a character",
    "\u202e desrever \u2066 \u200b\ufeff\u2028\u2029",
    "=HYPERLINK(\"http://127.0.0.1:18080\")", "+1+1", "-1", "@SUM(1)", "\t=1", "\r=1",
    '","4","37\n"hostile",4,4',
    "../../hostile-path\\..\\%2e%2e%2f",
    "A" * 10**7,
    "\n".join(["  ok    adds over the paths (1)"] * 1000),
])  # fmt: skip

# %%
raise RuntimeError(next(TEXTS))

# %%
raise type("<b>Hostile</b>\x1b[31m", (Exception,), {})(next(TEXTS))


# %%
def chain(paths):
    raise RuntimeError(next(TEXTS))


def local_slopes(op, a, b):
    return next(TEXTS), next(TEXTS)


def backward_pass(inputs, slopes):
    raise type(
        next(TEXTS)[:1000].replace("\0", " ").encode("utf-8", "replace").decode(), (ValueError,), {}
    )


def unbroadcast(grad, shape):
    return {next(TEXTS): next(TEXTS)}


def matmul_gradients(A, B, G):
    exec(compile("raise RuntimeError('here')", next(TEXTS)[:100].replace("\0", ""), "exec"))
