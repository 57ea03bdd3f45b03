"""The pages of `tinygrad-edu report`: every run beside its report, every figure redrawn, every claim judged.

layout.py    what each report's page is made of
model.py     what a page says, as plain data, from the folders of finished runs
tables.py, charts.py, facts.py    parts of it
html.py, markdown.py              the two forms of it
make.py      all of it, from run folders to files
"""

from .make import Made, make

__all__ = ["Made", "make"]
