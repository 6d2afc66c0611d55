"The learner's folder, and what teachers use: grading, the exercises on paper, slides, plans."

from ..base import need_extra

need_extra("course", "jupyterlab", "mistune", "latex2mathml")
