"""Taggers: requests a second, a run whose answers are all known, and the distilled tagger; ratios of one run.

    python benchmarks/tagging.py DATA.jsonl [--tagger FOLDER] [--requests 6000]

A server of this file's own answers each request after 100 ms. ``--tagger`` is a folder that ``ttm tagger train`` wrote.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DELAY = 0.1  # seconds
CONCURRENCY = 64
TTM = [sys.executable, "-c", "from ttmarkers.cli import main; main()"]


def serve(port: int) -> None:
    """Answer requests with the first value of each marker, after `DELAY`."""
    from aiohttp import web

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        await asyncio.sleep(DELAY)
        wanted = body["response_format"]["json_schema"]["schema"]["properties"]
        content = json.dumps({name: kind["enum"][0] for name, kind in wanted.items()})
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        answer = {
            "id": "a",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        return web.json_response(answer)

    application = web.Application(client_max_size=2**26)
    application.router.add_post("/v1/chat/completions", chat)
    web.run_app(application, port=port, print=None)


def annotate(source: Path, output: Path, config: dict[str, Any], *more: str) -> float:
    """Annotate a file with some config; return the wall time in seconds."""
    path = output.with_suffix(".yaml")
    path.write_text(json.dumps(config))
    command = [*TTM, "-c", str(path), "annotate", str(source), "-o", str(output), *more]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return time.perf_counter() - start


def distinct_rows(source: Path, target: Path, number: int) -> int:
    """Copy the rows of a file that have an answer, each made distinct; return how many."""
    rows = [json.loads(line) for line in source.read_bytes().splitlines()]
    key = next(name for name in ("instruction", "prompt") if name in rows[0])
    rows = [
        row for row in rows if any(str(row.get(name) or "").strip() for name in ("response", "output", "completion"))
    ]
    with target.open("w") as stream:
        for count, row in enumerate(itertools.islice(itertools.cycle(rows), number)):
            stream.write(json.dumps({**row, key: f"{row[key]} ({count})"}) + "\n")
    return number


def requests(folder: Path, source: Path, number: int) -> None:
    """Measure requests, and the same file once more."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        _wait_for(port)
        rows = folder / "rows.jsonl"
        distinct_rows(source, rows, number)
        llm = {"model": "m", "base_url": f"http://127.0.0.1:{port}/v1", "concurrency": CONCURRENCY}
        llm["cache"] = str(folder / "answers.sqlite")
        config = {"markers": {"extractors": {"task": ["llm"], "domain": ["llm"]}, "options": {"llm": llm}}}
        asked = annotate(rows, folder / "asked.jsonl", config, "--markers", "task,domain")
        known = annotate(rows, folder / "known.jsonl", config, "--markers", "task,domain")
        same = (folder / "asked.jsonl").read_bytes() == (folder / "known.jsonl").read_bytes()
        plain = {"markers": {"declared": {"source": {"constant": "Human"}}}}
        copied = annotate(rows, folder / "copied.jsonl", plain, "--markers", "source")
        print(f"{number} requests of {DELAY:g} s, {CONCURRENCY} at once: {asked:.1f} s, {number / asked:.0f} a second")
        print(f"all answers known: {known:.2f} s, copying the rows: {copied:.2f} s, ratio {known / copied:.2f}")
        print(f"the same bytes: {same}")
    finally:
        server.kill()


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    sys.exit("the server does not start")


def distilled(folder: Path, source: Path, tagger: str, number: int) -> None:
    """Measure a distilled tagger with one and two workers."""
    rows = folder / "many.jsonl"
    distinct_rows(source, rows, number)
    markers = list(json.loads((Path(tagger) / "tagger.json").read_bytes())["markers"])
    options = {"distilled": {"tagger": str(Path(tagger).resolve())}}
    config = {"markers": {"extractors": {name: ["distilled"] for name in markers}, "options": options}}
    for workers in (1, 2):
        output = folder / f"tagged{workers}.jsonl"
        seconds = annotate(rows, output, config, "--markers", ",".join(markers), "--workers", str(workers))
        print(f"distilled, {number} rows, {workers} workers: {seconds:.1f} s, {number / seconds:.0f} rows a second")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("--tagger")
    parser.add_argument("--requests", type=int, default=15_000)
    parser.add_argument("--rows", type=int, default=60_000)
    options = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = "none"
    with tempfile.TemporaryDirectory() as name:
        requests(Path(name), options.source, options.requests)
        if options.tagger:
            distilled(Path(name), options.source, options.tagger, options.rows)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--serve":
        serve(int(sys.argv[2]))
    else:
        main()
