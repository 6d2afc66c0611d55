"What you can draw on, drag and press: in a notebook, and on a page that needs no kernel."

from ..base import need_extra

need_extra("course", "anywidget", "traitlets")
