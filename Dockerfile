# The course as an image: for JupyterHub, which starts jupyterhub-singleuser in it, or for one learner. How: nbs/instructors/running.ipynb.
#   docker build --tag mnist_course .
#   docker run --rm --publish 127.0.0.1:8888:8888 mnist_course jupyter lab --ip=0.0.0.0 --no-browser
FROM python:3.12-slim

# Take the version of your hub: docker build --build-arg JUPYTERHUB=5.4.0 ...
ARG JUPYTERHUB=6.1.1

# PyTorch's CPU build is a few hundred MB, the one with CUDA a few GB.
COPY settings.ini setup.py pyproject.toml constraints.txt README.md LICENSE MANIFEST.in /src/
COPY mnist_course /src/mnist_course
COPY nbs /src/nbs
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        --constraint /src/constraints.txt "/src[course]" "jupyterhub==${JUPYTERHUB}" \
    && rm -r /src

# The full MNIST, once for everybody, in a folder that nobody can change.
RUN python -c "from mnist_course.data import download; download('/srv/mnist')" && chmod -R a+rX /srv/mnist
ENV MNIST_COURSE_DATA=/srv/mnist

# A learner computes on one core, so that thirty do not fight for all of them.
ENV OMP_NUM_THREADS=1

# The name and the numbers that JupyterHub's own images use, and its spawners expect.
RUN useradd --create-home --uid 1000 --gid users jovyan
USER jovyan
WORKDIR /home/jovyan
EXPOSE 8888

# New lessons are written into the learner's folder at each start; what a learner has changed stays. Then whatever was asked for.
ENTRYPOINT ["sh", "-c", "mnist-course start my_course --write-only && exec \"$@\"", "--"]
CMD ["jupyterhub-singleuser"]
