"""Everything that setuptools needs to know stands in settings.ini; the lessons are packed into the wheel here."""

import json
import re
import shutil
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(ROOT / "settings.ini", encoding="utf-8")
settings = config["DEFAULT"]


def project_page() -> str:
    "README.md as PyPI shows it: pictures and links lead to this version on GitHub, because relative ones would lead nowhere."

    def absolute(found: re.Match) -> str:
        kind = "raw" if found[1].endswith((".svg", ".png")) else "blob"
        return f"]({settings['git_url']}/{kind}/v{settings['version']}/{found[1]})"

    return re.sub(
        r"\]\((?!https?:|#)([^)\s]+)\)", absolute, (ROOT / "README.md").read_text(encoding="utf-8")
    )


def classifiers() -> list[str]:
    "What PyPI sorts projects by, from settings.ini. The license has a field of its own."
    stages = {"3": "3 - Alpha", "4": "4 - Beta", "5": "5 - Production/Stable"}
    return [
        f"Development Status :: {stages[settings['status']]}",
        "Framework :: Jupyter",
        f"Intended Audience :: {settings['audience']}",
        f"Natural Language :: {settings['language']}",
        *(f"Programming Language :: Python :: {one}" for one in settings["tested_python"].split()),
        "Topic :: Education",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ]


class BuildWithLessons(build_py):
    "Copies the lessons, without their outputs, into mnist_course/lessons of the wheel, and constraints.txt into mnist_course."

    def run(self):
        super().run()
        if self.editable_mode:
            return  # a clone has the lessons in nbs/
        target = Path(self.build_lib) / settings["lib_name"] / "lessons"
        target.mkdir(parents=True, exist_ok=True)
        nbs = ROOT / "nbs"
        for lesson in [nbs / "one_page.ipynb", *sorted(nbs.glob("[0-9][0-9]_*.ipynb"))]:
            notebook = json.loads(lesson.read_text(encoding="utf-8"))
            for cell in notebook["cells"]:
                if cell["cell_type"] == "code":
                    cell["outputs"] = []
            (target / lesson.name).write_text(
                json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
            )
        shutil.copy(ROOT / "constraints.txt", target.parent / "constraints.txt")


setup(
    name=settings["lib_name"],
    version=settings["version"],
    description=settings["description"],
    long_description=project_page(),
    long_description_content_type="text/markdown",
    author=settings["author"],
    license="Apache-2.0",
    url=settings["git_url"],
    project_urls={
        "Documentation": settings["doc_host"] + settings["doc_baseurl"],
        "Source": settings["git_url"],
        "Issues": f"{settings['git_url']}/issues",
        "Changelog": f"{settings['git_url']}/blob/{settings['branch']}/CHANGELOG.md",
    },
    classifiers=classifiers(),
    keywords=settings["keywords"].split(),
    python_requires=f">={settings['min_python']}",
    packages=find_packages(
        include=["mnist_course", "mnist_course.*"],
        exclude=["mnist_course.making", "mnist_course.making.*"],  # for maintainers, in a clone
    ),
    package_data={
        "mnist_course": [
            "sample/*",
            "weights/*",
            "runs/*",
            "widgets/static/*",
            "teaching/static/*",
            "teaching/static/slides/*",
            "teaching/static/jupyter/labconfig/*",
            "py.typed",
        ]
    },
    install_requires=settings["requirements"].split(),
    extras_require={
        "course": settings[
            "course_requirements"
        ].split(),  # the lessons: JupyterLab, the widgets, what teachers use
        "onnx": settings["onnx_requirements"].split(),
        "cluster": settings["cluster_requirements"].split(),  # the record's, on several machines
        "fuzz": settings["fuzz_requirements"].split(),
        "dev": [  # the tests run the lessons, build the site, export to ONNX, and kill a worker
            *settings["course_requirements"].split(),
            *settings["dev_requirements"].split(),
            *settings["docs_requirements"].split(),
            *settings["onnx_requirements"].split(),
            *settings["cluster_requirements"].split(),
        ],
        "docs": [
            *settings["course_requirements"].split(),
            *(
                one
                for one in settings["dev_requirements"].split()
                if one.startswith(("nbdev", "execnb", "fastcore", "ghapi"))
            ),
            *settings["docs_requirements"].split(),
        ],
    },
    entry_points={"console_scripts": settings["console_scripts"].split()},
    cmdclass={"build_py": BuildWithLessons},
    zip_safe=False,
)
