# The bot for operators. CI does not build this file; tell us when it fails.
#   docker build -t discord-bot .                     text
#   docker build -t discord-bot --build-arg FULL=1 .  everything in requirements.txt
FROM python:3.12-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Kokoro's files, downloaded once: into the volume, where the next container finds them.
ENV HF_HOME=/app/data/huggingface
WORKDIR /app

ARG FULL=0
COPY requirements.txt requirements-light.txt ./
RUN if [ "$FULL" = 1 ]; then \
        pip install torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu && \
        pip install -r requirements.txt; \
    else \
        pip install -r requirements-light.txt; \
    fi

RUN useradd --create-home --uid 1000 bot && mkdir -p data temp && chown bot:bot data temp
COPY . .

USER bot
VOLUME /app/data
CMD ["python", "bot.py"]
