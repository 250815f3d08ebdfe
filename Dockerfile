# Two stages: pip and its leavings stay in the first. From the same base image and the same commit, every build gives
# the same files: names, bytes, modes, owners, and times of files. `make image-diff` builds twice and compares.

# For a build that can be repeated next year, name the base by its digest: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11-slim

FROM ${BASE} AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1

WORKDIR /opt/anomaly-service

# The venv gets no pip of its own. Wheels only: a build from source would need a compiler and run foreign code.
COPY requirements.txt .
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install --quiet --no-compile --only-binary=:all: \
      --require-hashes -r requirements.txt

# Out go some 60 MB that nothing imports: the libraries' own tests, and the C and Cython sources they were built from.
# In comes the bytecode, since nothing can write it where the root filesystem is read-only. It is trusted without a
# look at the source's time (`unchecked-hash`), which makes it the same in every build; so does 1970 for all files.
RUN find /opt/venv/lib -type d \( -name tests -o -name test \) -prune -exec rm -r {} + \
 && find /opt/venv/lib -type f \( -name '*.c' -o -name '*.pyx' -o -name '*.pxd' \) -delete \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib \
 && find /opt/venv -exec touch --no-dereference --date=@0 {} +

# Neither modes nor times may depend on who checked the source out, and when.
COPY gunicorn.conf.py .
COPY app app
COPY models /opt/models
RUN chmod -R u=rwX,go=rX . /opt/models \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash app \
 && find . /opt/models -exec touch --no-dereference --date=@0 {} +

# What the service and its commands import must have survived all that: better found here than at night.
RUN /opt/venv/bin/python -c "import app.factory, app.worker, app.training.run, duckdb, matplotlib.pyplot, numpy.testing, \
pandas, scipy.stats, sklearn.ensemble, sklearn.linear_model, treelite.sklearn, uvloop"


FROM ${BASE}

# - A fixed numeric id, so that `runAsNonRoot` can be checked and volumes can be prepared for it. Written by hand,
#   since useradd would note the day of the build.
# - The base image comes without bytecode, and every start, command and health check would compile the standard
#   library anew.
# - Nothing is installed in production: no pip, nothing for scanners to find in it.
# - Whatever this step wrote is of 1970 too.
RUN started=$(date +%s) \
 && echo 'app:x:10001:10001::/dev/shm:/usr/sbin/nologin' >>/etc/passwd \
 && echo 'app:x:10001:' >>/etc/group \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/anomaly-service/audit \
 && python -B -m pip uninstall --quiet --yes --root-user-action=ignore pip setuptools wheel \
 && python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash \
      -x '/(site-packages|test|tests|idlelib|lib2to3|tkinter|turtledemo|ensurepip)/' /usr/local/lib/python3.11 \
 && find / -xdev -newermt "@$((started - 1))" -exec touch --no-dereference --date=@0 {} +

COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /opt/anomaly-service /opt/anomaly-service
# Owned by the user: `flask models activate` and `rollback` move the pointer in it. Mount a volume on it where the
# root filesystem is read-only and versions are to change without a new image.
COPY --from=builder --chown=10001:10001 /opt/models /opt/anomaly-service/models

WORKDIR /opt/anomaly-service
USER 10001:10001

# Scratch files of libraries (matplotlib's cache among them) go to shared memory, which is writable even where the
# root filesystem is not.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    FLASK_APP=app \
    AUDIT_DIR=/var/lib/anomaly-service/audit \
    HOME=/dev/shm \
    TMPDIR=/dev/shm \
    MPLCONFIGDIR=/dev/shm/matplotlib \
    MPLBACKEND=agg

VOLUME /var/lib/anomaly-service/audit
EXPOSE 5000

# http.client, since urllib would send this through HTTP_PROXY; `-I`, so that no variable of the service's changes it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-I", "-c", \
  "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT', 5000)), timeout=2); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]

# Exec form: gunicorn is process 1 and gets SIGTERM itself. `docker run IMAGE flask ...` runs a command instead.
CMD ["gunicorn"]

# Last, since they change with every commit and everything below them would be built anew. PYTHON_VERSION, patch level
# and all, is the base image's own.
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="anomaly-service" \
      org.opencontainers.image.description="Scores business-metric readings for anomalies, stays up, and tells the truth about itself." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      python.version="$PYTHON_VERSION"
