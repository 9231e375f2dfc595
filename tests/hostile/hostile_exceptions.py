"""Attacks whoever tells an error: errors without text, without end, or with a name that acts."""


# %%
class Silent(Exception):
    def __str__(self):
        raise SystemExit("4/4 points")


class Endless(Exception):
    def __str__(self):
        while True:
            pass


class NoText(Exception):
    def __str__(self):
        return 4

    __repr__ = __str__


class Named(type):
    __name__ = property(lambda cls: 1 / 0)


class Nameless(Exception, metaclass=Named):
    pass


class Text(str):
    def partition(self, by):
        return self, "", ""

    __getitem__ = __len__ = __format__ = lambda self, *args: 10**9


class Odd(Exception):
    def __str__(self):
        return Text("4/4 points")


# %%
raise Silent

# %%
raise Nameless

# %%
raise SyntaxError("4/4 points", ("hostile", "not a line", -1, b"\xff"))


# %%
def chain(paths):
    raise Silent


def local_slopes(op, a, b):
    raise Endless


def backward_pass(inputs, slopes):
    raise Nameless


def unbroadcast(grad, shape):
    raise Odd


def matmul_gradients(A, B, G):
    error = ValueError("4/4 points")
    for i in range(10**5):
        link = ValueError(i)
        link.__context__ = error
        error = link
    raise ExceptionGroup("points", [error, NoText()]) from error
